"""The canvas planner: what the engine is asked, derived from what the client asked and checked against the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deployments.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from deployments.gateway.diffusion import Watch, asked, checked, chosen, watch
from deployments.gateway.effort import AppliedEffort
from deployments.gateway.pieces import Hole, Piece, Pinned
from deployments.gateway.schema import ChatBody, CompletionBody, GenerationBody, InfillBody
from deployments.gateway.terms import Terms, settle
from dllm_worker.canvas import attention_of, first_start
from dllm_worker.request import Request
from dllm_worker.text import TemplateError, TextError

if TYPE_CHECKING:
    from dllm_worker.models.checkpoint import ModelDescription
    from dllm_worker.spec import ModelSpec
    from dllm_worker.text import Text

COMPLETION_TOKENS = 16
"""The length of a completion whose client names none, as in the OpenAI API."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One request to the engine and how its tokens become the answer.

    ``affinity`` is equal for requests whose tenant expects them to share a prefix. ``effort`` is there when one was
    asked for, or another one runs than the model's own.
    """

    request: Request
    pieces: tuple[Piece, ...]
    stops: tuple[str, ...] = ()
    watch: Watch | None = None
    affinity: str | None = None
    effort: AppliedEffort | None = None

    def as_json(self) -> dict[str, Any]:
        """The parameters that run, defaults filled in; no text of the client's."""
        holes = [piece.length for piece in self.pieces if isinstance(piece, Hole)]
        return {
            "prompt_tokens": len(self.request.prompt),
            "max_tokens": sum(holes),
            "holes": len(holes),
            "canvas_length": self.request.canvas_length,
            "effort": str(self.effort) if self.effort else None,
            "deadline": self.request.deadline,
            "stops": len(self.stops),
            "logprobs": self.request.logprobs,
            "prediction_tokens": len(self.request.prediction),
            "context_attention": self.request.context_attention,
            "sampling": asdict(self.request.sampling),
            "cache": asdict(self.request.cache),
        }


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans one request of a model.

    ``seed`` and ``default_max_tokens`` are used when the client names none. Prefixes are shared among requests with
    the same ``cache_salt`` only. The canvas is the one that the client or the model chose and is never shortened: the
    context is divided as the canvases are, so another length would be another text. The engine cuts the last one.
    """

    description: ModelDescription
    text: Text
    default_max_tokens: int
    request_id: str
    seed: int
    cache_salt: str = ""
    terms: Terms = field(default_factory=Terms)

    def chat(self, body: ChatBody) -> Plan:
        """An answer to a conversation."""
        prompt = self._conversation(body)
        name, wanted = body.length
        length = self._length(len(prompt), wanted, name, self.default_max_tokens)
        return self._continuation(body, prompt, (Hole(length),), body.stop)

    def completion(self, body: CompletionBody) -> Plan:
        """What follows a prompt, or what stands between it and a suffix."""
        prompt = self._prompt(body.prompt)
        echo = (Pinned(self._echoed(body.prompt), 0),) if body.echo else ()
        name, wanted = body.length
        if body.suffix is None:
            length = self._length(len(prompt), wanted, name, COMPLETION_TOKENS)
            return self._continuation(body, prompt, (*echo, Hole(length)), body.stop)
        suffix = self._encode(body.suffix)
        pieces = (*echo, Hole(wanted or COMPLETION_TOKENS), Pinned("", len(suffix)))
        request = self._request(body, prompt, template=True)
        return replace(self._template(body, request, pieces, suffix), stops=tuple(body.stop))

    def infill(self, body: InfillBody) -> Plan:
        """A template whose holes are filled. Text before the first one is context, where the model has context."""
        first, *rest = body.template.split(body.hole)
        lengths = _hole_lengths(body, len(rest))
        self._require_room_of_holes(sum(lengths))
        lead, tokens = self._encode(first), [self._encode(text) for text in rest]
        pieces: list[Piece] = []
        for length, text, ids in zip(lengths, rest, tokens, strict=True):
            pieces += (Hole(length), Pinned(text, len(ids)))
        prompt, pinned = self.text.begin(), [token for ids in tokens for token in ids]
        request = self._request(body, prompt, template=True)
        if attention_of(request, self._spec) == "bidirectional":
            return self._template(body, request, (Pinned(first, len(lead)), *pieces), lead + pinned)
        request = replace(request, prompt=(*prompt, *lead))
        return self._template(body, request, (Pinned(first, 0), *pieces), pinned)

    @property
    def _spec(self) -> ModelSpec:
        return self.description.spec

    def _prompt(self, prompt: str | list[int]) -> list[int]:
        if isinstance(prompt, str):
            return self.text.begin() + self._encode(prompt)
        outside = next((token for token in prompt if token >= self._spec.vocab_size), None)
        if outside is not None:
            raise InvalidRequest(f"Token id {outside} is outside the model's vocabulary.", parameter="prompt")
        return prompt

    def _encode(self, text: str) -> list[int]:
        self._require_room_of_text(text)
        return self.text.encode(text)

    def _require_room_of_text(self, text: str) -> None:
        """Looked at before it is encoded, which takes some 0.8 s for a mebibyte."""
        limit, fewest = self._spec.max_position, self.text.fewest_tokens(text)
        if fewest > limit:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {limit} tokens; the request has at least {fewest}."
            )

    def _echoed(self, prompt: str | list[int]) -> str:
        return prompt if isinstance(prompt, str) else self.text.decode(prompt)

    def _conversation(self, body: ChatBody) -> list[int]:
        """The tokens of the conversation. A chat template that does not know the role of a tool fails, or writes the
        same without what the tool said; both are refused by the name of that role.
        """
        turns = [message.as_turn() for message in body.messages]
        # Templates may drop what was said earlier, and white space around it.
        self._require_room_of_text(turns[-1]["content"].strip())
        tool = next((index for index, turn in enumerate(turns) if turn["role"] == "tool"), None)
        role = "messages" if tool is None else f"messages[{tool}].role"
        try:
            prompt = self.text.chat(turns)
            known = tool is None or prompt != self.text.chat(turns[:tool] + turns[tool + 1 :])
        except TemplateError as error:
            raise InvalidRequest(f"{error}.", parameter=role) from error
        except TextError as error:
            raise InvalidRequest(str(error), parameter="messages") from error
        if not known:
            raise UnsupportedParameter("This model's chat template does not know the role 'tool'.", parameter=role)
        return prompt

    def _length(self, prompt: int, wanted: int | None, name: str, default: int) -> int:
        """The answer's length: as wanted, or ``default`` as far as there is room; never less than was asked for."""
        limit = self._spec.max_position
        room = limit - prompt
        length = max(1, min(default, room)) if wanted is None else wanted
        if length > room:
            raise ContextLengthExceeded(
                # Clients that read no codes know it by these words of OpenAI's.
                f"This model's maximum context length is {limit} tokens; the prompt has {prompt} and the answer may "
                f"have {length}.",
                parameter=None if wanted is None else name,
            )
        return length

    def _continuation(
        self, body: GenerationBody, prompt: list[int], pieces: tuple[Piece, ...], stops: list[str]
    ) -> Plan:
        length = sum(piece.length for piece in pieces)
        request = replace(self._request(body, prompt, template=False), max_tokens=length)
        return replace(self._settled(request, body, pieces), stops=tuple(stops))

    def _template(self, body: GenerationBody, request: Request, pieces: tuple[Piece, ...], pinned: list[int]) -> Plan:
        """One canvas of ``pieces``; ``pinned`` are the tokens of those that are pinned, end to end."""
        self._require_room(request, sum(piece.length for piece in pieces))
        given = iter(pinned)
        template = tuple(
            None if isinstance(piece, Hole) else next(given) for piece in pieces for _ in range(piece.length)
        )
        return self._settled(replace(request, template=template), body, pieces)

    def _settled(self, request: Request, body: GenerationBody, pieces: tuple[Piece, ...]) -> Plan:
        """The plan of a request that the model can run, with the effort that its terms leave it."""
        spec = self._spec
        checked(request, body, spec)
        request, effort = settle(request, body.reasoning_effort, spec, chosen(body, spec), self.terms)
        affinity = self.terms.affinity(body.prompt_cache_key)
        return Plan(request, pieces, watch=watch(body), affinity=affinity, effort=effort)

    def _require_room_of_holes(self, positions: int) -> None:
        """Looked at before any text is encoded: there may be as many pieces of it as characters in the template."""
        most = self._spec.max_canvas_length
        if positions > most:
            raise ContextLengthExceeded(
                f"The holes alone need a canvas of {positions} positions; this model has {most}."
            )

    def _require_room(self, request: Request, template: int) -> None:
        """The template, and what of the prompt shares its canvas, must fit the largest canvas and the context."""
        spec, prompt = self._spec, len(request.prompt)
        canvas = prompt - first_start(request, spec) + template
        if canvas > spec.max_canvas_length or prompt + template > spec.max_position:
            raise ContextLengthExceeded(
                f"Holes and pinned text need a canvas of {canvas} positions and a context of {prompt + template}; "
                f"this model has {spec.max_canvas_length} and {spec.max_position}."
            )

    def _request(self, body: GenerationBody, prompt: list[int], *, template: bool) -> Request:
        request = asked(body, self.description, self.seed, template=template)
        return replace(
            request,
            id=self.request_id,
            prompt=tuple(prompt),
            cache_salt=self.cache_salt,
            logprobs=body.alternatives,
            prediction=tuple(self._encode(body.predicted)),
        )


def _hole_lengths(body: InfillBody, holes: int) -> list[int]:
    """Tokens of each hole of the template."""
    if holes == 0:
        raise InvalidRequest(f"The marker {body.hole!r} does not occur in the template.", parameter="template")
    if isinstance(body.hole_tokens, int):
        return [body.hole_tokens] * holes
    if len(body.hole_tokens) != holes:
        raise InvalidRequest(
            f"The template has {holes} holes and hole_tokens has {len(body.hole_tokens)} numbers.",
            parameter="hole_tokens",
        )
    return body.hole_tokens
