import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_SYSTEM: _ClassVar[Role]
    ROLE_DEVELOPER: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
    ROLE_ASSISTANT: _ClassVar[Role]
    ROLE_TOOL: _ClassVar[Role]

class ReasoningEffort(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASONING_EFFORT_UNSPECIFIED: _ClassVar[ReasoningEffort]
    REASONING_EFFORT_INSTANT: _ClassVar[ReasoningEffort]
    REASONING_EFFORT_LOW: _ClassVar[ReasoningEffort]
    REASONING_EFFORT_MEDIUM: _ClassVar[ReasoningEffort]
    REASONING_EFFORT_HIGH: _ClassVar[ReasoningEffort]

class ServiceTier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_TIER_UNSPECIFIED: _ClassVar[ServiceTier]
    SERVICE_TIER_AUTO: _ClassVar[ServiceTier]
    SERVICE_TIER_DEFAULT: _ClassVar[ServiceTier]
    SERVICE_TIER_FLEX: _ClassVar[ServiceTier]
    SERVICE_TIER_PRIORITY: _ClassVar[ServiceTier]

class Watching(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCHING_UNSPECIFIED: _ClassVar[Watching]
    WATCHING_COMMITTED: _ClassVar[Watching]
    WATCHING_CANVAS: _ClassVar[Watching]

class CanvasFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANVAS_FORMAT_UNSPECIFIED: _ClassVar[CanvasFormat]
    CANVAS_FORMAT_PATCH: _ClassVar[CanvasFormat]
    CANVAS_FORMAT_SNAPSHOT: _ClassVar[CanvasFormat]

class ContextAttention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTEXT_ATTENTION_UNSPECIFIED: _ClassVar[ContextAttention]
    CONTEXT_ATTENTION_BIDIRECTIONAL: _ClassVar[ContextAttention]
    CONTEXT_ATTENTION_BLOCK_CAUSAL: _ClassVar[ContextAttention]
    CONTEXT_ATTENTION_CAUSAL: _ClassVar[ContextAttention]

class Algorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALGORITHM_UNSPECIFIED: _ClassVar[Algorithm]
    ALGORITHM_LOW_CONFIDENCE: _ClassVar[Algorithm]
    ALGORITHM_LOW_ENTROPY: _ClassVar[Algorithm]
    ALGORITHM_TOPK_MARGIN: _ClassVar[Algorithm]
    ALGORITHM_MASKGIT_PLUS: _ClassVar[Algorithm]
    ALGORITHM_RANDOM: _ClassVar[Algorithm]
    ALGORITHM_ANCESTRAL: _ClassVar[Algorithm]
    ALGORITHM_LEFTMOST: _ClassVar[Algorithm]
    ALGORITHM_CONFIDENCE_THRESHOLD: _ClassVar[Algorithm]
    ALGORITHM_CAPPED_THRESHOLD: _ClassVar[Algorithm]
    ALGORITHM_QUOTA_THRESHOLD: _ClassVar[Algorithm]
    ALGORITHM_FACTOR: _ClassVar[Algorithm]
    ALGORITHM_ENTROPY_BOUND: _ClassVar[Algorithm]
    ALGORITHM_ENTROPY_SUM: _ClassVar[Algorithm]
    ALGORITHM_JOINT_THRESHOLD: _ClassVar[Algorithm]
    ALGORITHM_RENOISE: _ClassVar[Algorithm]
    ALGORITHM_PIPELINED: _ClassVar[Algorithm]
    ALGORITHM_LINEAR_SPECULATION: _ClassVar[Algorithm]
    ALGORITHM_AUTOREGRESSIVE: _ClassVar[Algorithm]

class Schedule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_UNSPECIFIED: _ClassVar[Schedule]
    SCHEDULE_LINEAR: _ClassVar[Schedule]
    SCHEDULE_COSINE: _ClassVar[Schedule]
    SCHEDULE_DREAM: _ClassVar[Schedule]
    SCHEDULE_EVEN: _ClassVar[Schedule]
    SCHEDULE_ROUNDED: _ClassVar[Schedule]

class CacheKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_KIND_UNSPECIFIED: _ClassVar[CacheKind]
    CACHE_KIND_NONE: _ClassVar[CacheKind]
    CACHE_KIND_PREFIX: _ClassVar[CacheKind]
    CACHE_KIND_DUAL: _ClassVar[CacheKind]
    CACHE_KIND_VICINITY: _ClassVar[CacheKind]

class EndOfSequence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_OF_SEQUENCE_UNSPECIFIED: _ClassVar[EndOfSequence]
    END_OF_SEQUENCE_PREFIX: _ClassVar[EndOfSequence]
    END_OF_SEQUENCE_CANVAS: _ClassVar[EndOfSequence]
    END_OF_SEQUENCE_IGNORE: _ClassVar[EndOfSequence]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_DEADLINE: _ClassVar[FinishReason]

class RequestStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REQUEST_STATUS_UNSPECIFIED: _ClassVar[RequestStatus]
    REQUEST_STATUS_QUEUED: _ClassVar[RequestStatus]
    REQUEST_STATUS_RUNNING: _ClassVar[RequestStatus]
    REQUEST_STATUS_COMPLETED: _ClassVar[RequestStatus]
    REQUEST_STATUS_FAILED: _ClassVar[RequestStatus]
    REQUEST_STATUS_CANCELLED: _ClassVar[RequestStatus]
ROLE_UNSPECIFIED: Role
ROLE_SYSTEM: Role
ROLE_DEVELOPER: Role
ROLE_USER: Role
ROLE_ASSISTANT: Role
ROLE_TOOL: Role
REASONING_EFFORT_UNSPECIFIED: ReasoningEffort
REASONING_EFFORT_INSTANT: ReasoningEffort
REASONING_EFFORT_LOW: ReasoningEffort
REASONING_EFFORT_MEDIUM: ReasoningEffort
REASONING_EFFORT_HIGH: ReasoningEffort
SERVICE_TIER_UNSPECIFIED: ServiceTier
SERVICE_TIER_AUTO: ServiceTier
SERVICE_TIER_DEFAULT: ServiceTier
SERVICE_TIER_FLEX: ServiceTier
SERVICE_TIER_PRIORITY: ServiceTier
WATCHING_UNSPECIFIED: Watching
WATCHING_COMMITTED: Watching
WATCHING_CANVAS: Watching
CANVAS_FORMAT_UNSPECIFIED: CanvasFormat
CANVAS_FORMAT_PATCH: CanvasFormat
CANVAS_FORMAT_SNAPSHOT: CanvasFormat
CONTEXT_ATTENTION_UNSPECIFIED: ContextAttention
CONTEXT_ATTENTION_BIDIRECTIONAL: ContextAttention
CONTEXT_ATTENTION_BLOCK_CAUSAL: ContextAttention
CONTEXT_ATTENTION_CAUSAL: ContextAttention
ALGORITHM_UNSPECIFIED: Algorithm
ALGORITHM_LOW_CONFIDENCE: Algorithm
ALGORITHM_LOW_ENTROPY: Algorithm
ALGORITHM_TOPK_MARGIN: Algorithm
ALGORITHM_MASKGIT_PLUS: Algorithm
ALGORITHM_RANDOM: Algorithm
ALGORITHM_ANCESTRAL: Algorithm
ALGORITHM_LEFTMOST: Algorithm
ALGORITHM_CONFIDENCE_THRESHOLD: Algorithm
ALGORITHM_CAPPED_THRESHOLD: Algorithm
ALGORITHM_QUOTA_THRESHOLD: Algorithm
ALGORITHM_FACTOR: Algorithm
ALGORITHM_ENTROPY_BOUND: Algorithm
ALGORITHM_ENTROPY_SUM: Algorithm
ALGORITHM_JOINT_THRESHOLD: Algorithm
ALGORITHM_RENOISE: Algorithm
ALGORITHM_PIPELINED: Algorithm
ALGORITHM_LINEAR_SPECULATION: Algorithm
ALGORITHM_AUTOREGRESSIVE: Algorithm
SCHEDULE_UNSPECIFIED: Schedule
SCHEDULE_LINEAR: Schedule
SCHEDULE_COSINE: Schedule
SCHEDULE_DREAM: Schedule
SCHEDULE_EVEN: Schedule
SCHEDULE_ROUNDED: Schedule
CACHE_KIND_UNSPECIFIED: CacheKind
CACHE_KIND_NONE: CacheKind
CACHE_KIND_PREFIX: CacheKind
CACHE_KIND_DUAL: CacheKind
CACHE_KIND_VICINITY: CacheKind
END_OF_SEQUENCE_UNSPECIFIED: EndOfSequence
END_OF_SEQUENCE_PREFIX: EndOfSequence
END_OF_SEQUENCE_CANVAS: EndOfSequence
END_OF_SEQUENCE_IGNORE: EndOfSequence
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_DEADLINE: FinishReason
REQUEST_STATUS_UNSPECIFIED: RequestStatus
REQUEST_STATUS_QUEUED: RequestStatus
REQUEST_STATUS_RUNNING: RequestStatus
REQUEST_STATUS_COMPLETED: RequestStatus
REQUEST_STATUS_FAILED: RequestStatus
REQUEST_STATUS_CANCELLED: RequestStatus

class GenerateRequest(_message.Message):
    __slots__ = ("chat", "completion")
    CHAT_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    chat: Chat
    completion: Completion
    def __init__(self, chat: _Optional[_Union[Chat, _Mapping]] = ..., completion: _Optional[_Union[Completion, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("id", "created", "model", "system_fingerprint", "service_tier", "choices", "usage")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    model: str
    system_fingerprint: str
    service_tier: ServiceTier
    choices: _containers.RepeatedCompositeFieldContainer[Choice]
    usage: Usage
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., system_fingerprint: _Optional[str] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., choices: _Optional[_Iterable[_Union[Choice, _Mapping]]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class StreamGenerateRequest(_message.Message):
    __slots__ = ("chat", "completion")
    CHAT_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    chat: Chat
    completion: Completion
    def __init__(self, chat: _Optional[_Union[Chat, _Mapping]] = ..., completion: _Optional[_Union[Completion, _Mapping]] = ...) -> None: ...

class StreamGenerateResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: Event
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class InfillRequest(_message.Message):
    __slots__ = ("infill",)
    INFILL_FIELD_NUMBER: _ClassVar[int]
    infill: Infill
    def __init__(self, infill: _Optional[_Union[Infill, _Mapping]] = ...) -> None: ...

class InfillResponse(_message.Message):
    __slots__ = ("id", "created", "model", "system_fingerprint", "service_tier", "text", "holes", "finish_reason", "usage")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HOLES_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    model: str
    system_fingerprint: str
    service_tier: ServiceTier
    text: str
    holes: _containers.RepeatedScalarFieldContainer[str]
    finish_reason: FinishReason
    usage: Usage
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., system_fingerprint: _Optional[str] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., text: _Optional[str] = ..., holes: _Optional[_Iterable[str]] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class StreamInfillRequest(_message.Message):
    __slots__ = ("infill",)
    INFILL_FIELD_NUMBER: _ClassVar[int]
    infill: Infill
    def __init__(self, infill: _Optional[_Union[Infill, _Mapping]] = ...) -> None: ...

class StreamInfillResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: Event
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class ResumeGenerateRequest(_message.Message):
    __slots__ = ("id", "after_sequence")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    after_sequence: int
    def __init__(self, id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class ResumeGenerateResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: Event
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelResponse(_message.Message):
    __slots__ = ("id", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: RequestStatus
    def __init__(self, id: _Optional[str] = ..., status: _Optional[_Union[RequestStatus, str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Chat(_message.Message):
    __slots__ = ("model", "temperature", "top_p", "seed", "reasoning_effort", "store_stream", "diffusion", "user", "safety_identifier", "prompt_cache_key", "metadata", "service_tier", "n", "max_tokens", "stop", "logprobs", "top_logprobs", "prediction", "messages")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REASONING_EFFORT_FIELD_NUMBER: _ClassVar[int]
    STORE_STREAM_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SAFETY_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CACHE_KEY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    model: str
    temperature: float
    top_p: float
    seed: int
    reasoning_effort: ReasoningEffort
    store_stream: bool
    diffusion: Diffusion
    user: str
    safety_identifier: str
    prompt_cache_key: str
    metadata: _containers.ScalarMap[str, str]
    service_tier: ServiceTier
    n: int
    max_tokens: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    logprobs: bool
    top_logprobs: int
    prediction: str
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    def __init__(self, model: _Optional[str] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., reasoning_effort: _Optional[_Union[ReasoningEffort, str]] = ..., store_stream: _Optional[bool] = ..., diffusion: _Optional[_Union[Diffusion, _Mapping]] = ..., user: _Optional[str] = ..., safety_identifier: _Optional[str] = ..., prompt_cache_key: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., n: _Optional[int] = ..., max_tokens: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., logprobs: _Optional[bool] = ..., top_logprobs: _Optional[int] = ..., prediction: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ...) -> None: ...

class Completion(_message.Message):
    __slots__ = ("model", "temperature", "top_p", "seed", "reasoning_effort", "store_stream", "diffusion", "user", "safety_identifier", "prompt_cache_key", "metadata", "service_tier", "n", "max_tokens", "stop", "logprobs", "prompt", "prompt_tokens", "suffix", "echo")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REASONING_EFFORT_FIELD_NUMBER: _ClassVar[int]
    STORE_STREAM_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SAFETY_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CACHE_KEY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SUFFIX_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    model: str
    temperature: float
    top_p: float
    seed: int
    reasoning_effort: ReasoningEffort
    store_stream: bool
    diffusion: Diffusion
    user: str
    safety_identifier: str
    prompt_cache_key: str
    metadata: _containers.ScalarMap[str, str]
    service_tier: ServiceTier
    n: int
    max_tokens: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    logprobs: int
    prompt: str
    prompt_tokens: TokenIds
    suffix: str
    echo: bool
    def __init__(self, model: _Optional[str] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., reasoning_effort: _Optional[_Union[ReasoningEffort, str]] = ..., store_stream: _Optional[bool] = ..., diffusion: _Optional[_Union[Diffusion, _Mapping]] = ..., user: _Optional[str] = ..., safety_identifier: _Optional[str] = ..., prompt_cache_key: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., n: _Optional[int] = ..., max_tokens: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., logprobs: _Optional[int] = ..., prompt: _Optional[str] = ..., prompt_tokens: _Optional[_Union[TokenIds, _Mapping]] = ..., suffix: _Optional[str] = ..., echo: _Optional[bool] = ...) -> None: ...

class Infill(_message.Message):
    __slots__ = ("model", "temperature", "top_p", "seed", "reasoning_effort", "store_stream", "diffusion", "user", "safety_identifier", "prompt_cache_key", "metadata", "service_tier", "template", "hole", "hole_tokens")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    REASONING_EFFORT_FIELD_NUMBER: _ClassVar[int]
    STORE_STREAM_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SAFETY_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CACHE_KEY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    HOLE_FIELD_NUMBER: _ClassVar[int]
    HOLE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    temperature: float
    top_p: float
    seed: int
    reasoning_effort: ReasoningEffort
    store_stream: bool
    diffusion: Diffusion
    user: str
    safety_identifier: str
    prompt_cache_key: str
    metadata: _containers.ScalarMap[str, str]
    service_tier: ServiceTier
    template: str
    hole: str
    hole_tokens: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, model: _Optional[str] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., reasoning_effort: _Optional[_Union[ReasoningEffort, str]] = ..., store_stream: _Optional[bool] = ..., diffusion: _Optional[_Union[Diffusion, _Mapping]] = ..., user: _Optional[str] = ..., safety_identifier: _Optional[str] = ..., prompt_cache_key: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., template: _Optional[str] = ..., hole: _Optional[str] = ..., hole_tokens: _Optional[_Iterable[int]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("role", "content", "tool_call_id")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    role: Role
    content: str
    tool_call_id: str
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., content: _Optional[str] = ..., tool_call_id: _Optional[str] = ...) -> None: ...

class TokenIds(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class Diffusion(_message.Message):
    __slots__ = ("stream", "canvas_format", "canvas_every", "block_length", "context_attention", "cache", "algorithm", "schedule", "max_steps", "quota", "confidence_threshold", "editing_threshold", "max_post_steps", "factor", "entropy_bound", "entropy_exit", "gap_exit", "stability", "t_min", "t_max", "open_share", "force_share", "guidance", "leftmost_eos", "eos", "top_k")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    CANVAS_FORMAT_FIELD_NUMBER: _ClassVar[int]
    CANVAS_EVERY_FIELD_NUMBER: _ClassVar[int]
    BLOCK_LENGTH_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EDITING_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_POST_STEPS_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_BOUND_FIELD_NUMBER: _ClassVar[int]
    ENTROPY_EXIT_FIELD_NUMBER: _ClassVar[int]
    GAP_EXIT_FIELD_NUMBER: _ClassVar[int]
    STABILITY_FIELD_NUMBER: _ClassVar[int]
    T_MIN_FIELD_NUMBER: _ClassVar[int]
    T_MAX_FIELD_NUMBER: _ClassVar[int]
    OPEN_SHARE_FIELD_NUMBER: _ClassVar[int]
    FORCE_SHARE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    LEFTMOST_EOS_FIELD_NUMBER: _ClassVar[int]
    EOS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    stream: Watching
    canvas_format: CanvasFormat
    canvas_every: int
    block_length: int
    context_attention: ContextAttention
    cache: Cache
    algorithm: Algorithm
    schedule: Schedule
    max_steps: int
    quota: int
    confidence_threshold: float
    editing_threshold: float
    max_post_steps: int
    factor: float
    entropy_bound: float
    entropy_exit: float
    gap_exit: float
    stability: int
    t_min: float
    t_max: float
    open_share: float
    force_share: float
    guidance: float
    leftmost_eos: bool
    eos: EndOfSequence
    top_k: int
    def __init__(self, stream: _Optional[_Union[Watching, str]] = ..., canvas_format: _Optional[_Union[CanvasFormat, str]] = ..., canvas_every: _Optional[int] = ..., block_length: _Optional[int] = ..., context_attention: _Optional[_Union[ContextAttention, str]] = ..., cache: _Optional[_Union[Cache, _Mapping]] = ..., algorithm: _Optional[_Union[Algorithm, str]] = ..., schedule: _Optional[_Union[Schedule, str]] = ..., max_steps: _Optional[int] = ..., quota: _Optional[int] = ..., confidence_threshold: _Optional[float] = ..., editing_threshold: _Optional[float] = ..., max_post_steps: _Optional[int] = ..., factor: _Optional[float] = ..., entropy_bound: _Optional[float] = ..., entropy_exit: _Optional[float] = ..., gap_exit: _Optional[float] = ..., stability: _Optional[int] = ..., t_min: _Optional[float] = ..., t_max: _Optional[float] = ..., open_share: _Optional[float] = ..., force_share: _Optional[float] = ..., guidance: _Optional[float] = ..., leftmost_eos: _Optional[bool] = ..., eos: _Optional[_Union[EndOfSequence, str]] = ..., top_k: _Optional[int] = ...) -> None: ...

class Cache(_message.Message):
    __slots__ = ("kind", "refresh_every", "before", "after")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REFRESH_EVERY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    kind: CacheKind
    refresh_every: int
    before: int
    after: int
    def __init__(self, kind: _Optional[_Union[CacheKind, str]] = ..., refresh_every: _Optional[int] = ..., before: _Optional[int] = ..., after: _Optional[int] = ...) -> None: ...

class Choice(_message.Message):
    __slots__ = ("index", "text", "finish_reason", "logprobs")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    index: int
    text: str
    finish_reason: FinishReason
    logprobs: _containers.RepeatedCompositeFieldContainer[TokenLogprob]
    def __init__(self, index: _Optional[int] = ..., text: _Optional[str] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., logprobs: _Optional[_Iterable[_Union[TokenLogprob, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("sequence", "header", "committed", "canvas", "finished", "usage")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    CANVAS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    header: Header
    committed: Committed
    canvas: Canvas
    finished: Finished
    usage: Usage
    def __init__(self, sequence: _Optional[int] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., committed: _Optional[_Union[Committed, _Mapping]] = ..., canvas: _Optional[_Union[Canvas, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("id", "created", "model", "system_fingerprint", "service_tier")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    model: str
    system_fingerprint: str
    service_tier: ServiceTier
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., system_fingerprint: _Optional[str] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ...) -> None: ...

class Committed(_message.Message):
    __slots__ = ("choice", "text", "hole", "logprobs")
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HOLE_FIELD_NUMBER: _ClassVar[int]
    LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    choice: int
    text: str
    hole: int
    logprobs: _containers.RepeatedCompositeFieldContainer[TokenLogprob]
    def __init__(self, choice: _Optional[int] = ..., text: _Optional[str] = ..., hole: _Optional[int] = ..., logprobs: _Optional[_Iterable[_Union[TokenLogprob, _Mapping]]] = ...) -> None: ...

class Canvas(_message.Message):
    __slots__ = ("choice", "block", "step", "max_steps", "masked", "start", "length", "committed_chars", "snapshot", "patch")
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    MASKED_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_CHARS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    choice: int
    block: int
    step: int
    max_steps: int
    masked: int
    start: int
    length: int
    committed_chars: int
    snapshot: str
    patch: Patch
    def __init__(self, choice: _Optional[int] = ..., block: _Optional[int] = ..., step: _Optional[int] = ..., max_steps: _Optional[int] = ..., masked: _Optional[int] = ..., start: _Optional[int] = ..., length: _Optional[int] = ..., committed_chars: _Optional[int] = ..., snapshot: _Optional[str] = ..., patch: _Optional[_Union[Patch, _Mapping]] = ...) -> None: ...

class Patch(_message.Message):
    __slots__ = ("edits",)
    EDITS_FIELD_NUMBER: _ClassVar[int]
    edits: _containers.RepeatedCompositeFieldContainer[Edit]
    def __init__(self, edits: _Optional[_Iterable[_Union[Edit, _Mapping]]] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("position", "text")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    position: int
    text: str
    def __init__(self, position: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("choice", "finish_reason")
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    choice: int
    finish_reason: FinishReason
    def __init__(self, choice: _Optional[int] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ...) -> None: ...

class TokenLogprob(_message.Message):
    __slots__ = ("token", "logprob", "offset", "top_logprobs")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOP_LOGPROBS_FIELD_NUMBER: _ClassVar[int]
    token: str
    logprob: float
    offset: int
    top_logprobs: _containers.RepeatedCompositeFieldContainer[TopLogprob]
    def __init__(self, token: _Optional[str] = ..., logprob: _Optional[float] = ..., offset: _Optional[int] = ..., top_logprobs: _Optional[_Iterable[_Union[TopLogprob, _Mapping]]] = ...) -> None: ...

class TopLogprob(_message.Message):
    __slots__ = ("token", "logprob")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    LOGPROB_FIELD_NUMBER: _ClassVar[int]
    token: str
    logprob: float
    def __init__(self, token: _Optional[str] = ..., logprob: _Optional[float] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details", "diffusion")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_DETAILS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_DETAILS_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails
    diffusion: DiffusionUsage
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., total_tokens: _Optional[int] = ..., prompt_tokens_details: _Optional[_Union[PromptTokensDetails, _Mapping]] = ..., completion_tokens_details: _Optional[_Union[CompletionTokensDetails, _Mapping]] = ..., diffusion: _Optional[_Union[DiffusionUsage, _Mapping]] = ...) -> None: ...

class PromptTokensDetails(_message.Message):
    __slots__ = ("cached_tokens",)
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    cached_tokens: int
    def __init__(self, cached_tokens: _Optional[int] = ...) -> None: ...

class CompletionTokensDetails(_message.Message):
    __slots__ = ("accepted_prediction_tokens", "rejected_prediction_tokens")
    ACCEPTED_PREDICTION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_PREDICTION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int
    def __init__(self, accepted_prediction_tokens: _Optional[int] = ..., rejected_prediction_tokens: _Optional[int] = ...) -> None: ...

class DiffusionUsage(_message.Message):
    __slots__ = ("denoising_steps", "forward_passes", "prefill_forwards", "commit_forwards", "position_forwards", "canvases", "tokens_per_forward")
    DENOISING_STEPS_FIELD_NUMBER: _ClassVar[int]
    FORWARD_PASSES_FIELD_NUMBER: _ClassVar[int]
    PREFILL_FORWARDS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FORWARDS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FORWARDS_FIELD_NUMBER: _ClassVar[int]
    CANVASES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_FORWARD_FIELD_NUMBER: _ClassVar[int]
    denoising_steps: int
    forward_passes: int
    prefill_forwards: int
    commit_forwards: int
    position_forwards: int
    canvases: int
    tokens_per_forward: float
    def __init__(self, denoising_steps: _Optional[int] = ..., forward_passes: _Optional[int] = ..., prefill_forwards: _Optional[int] = ..., commit_forwards: _Optional[int] = ..., position_forwards: _Optional[int] = ..., canvases: _Optional[int] = ..., tokens_per_forward: _Optional[float] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "created", "owned_by", "dllm")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    OWNED_BY_FIELD_NUMBER: _ClassVar[int]
    DLLM_FIELD_NUMBER: _ClassVar[int]
    id: str
    created: _timestamp_pb2.Timestamp
    owned_by: str
    dllm: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., owned_by: _Optional[str] = ..., dllm: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
