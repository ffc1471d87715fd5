"""The chart's own values."""

from __future__ import annotations

from cluster.chart_schema.pods import (
    ANNOTATIONS,
    IMAGE,
    IMAGE_KEYS,
    LABELS,
    PEER,
    PLACEMENT,
    RAY_POD,
    RESOURCES,
    SECRET_KEY,
    WORKER,
)
from cluster.chart_schema.terms import (
    COUNT,
    DURATION,
    FLAG,
    NAME,
    OBJECT,
    PATH,
    PERCENTAGE,
    PORT,
    POSITIVE,
    QUANTITY,
    TEXT,
    Schema,
    each,
    mapping,
    one_of,
    or_none,
    section,
)

ADDRESS_WITHOUT_CREDENTIALS: Schema = {"type": "string", "not": {"pattern": ":[^/?@]*@"}}

IMAGE_OF_RAY = section(**IMAGE_KEYS, pullSecrets=each(NAME))
RAY = section(
    version={"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
    environment=mapping(TEXT, key="^[A-Za-z_][A-Za-z0-9_]*$"),
    autoscaler=FLAG,
    idleTimeoutSeconds=POSITIVE,
    autoscalerResources=RESOURCES,
    objectStoreBytes={"type": "integer", "minimum": 80 << 20},
    preStopSeconds=COUNT,
    drainSeconds=POSITIVE,
    marginSeconds=POSITIVE,
    scratch=QUANTITY,
)
GATEWAYS = section(**RAY_POD, replicas=POSITIVE, probe=one_of("http", "grpc"), startupSeconds=POSITIVE)
UPGRADE = section(
    strategy=one_of("NewCluster", "NewClusterWithIncrementalUpgrade", "None"),
    deletionDelaySeconds=COUNT,
    incremental=section(
        gatewayClassName=NAME, maxSurgePercent=PERCENTAGE, stepSizePercent=PERCENTAGE, intervalSeconds=POSITIVE
    ),
)
VALKEY = section(
    enabled=FLAG,
    image=IMAGE,
    existingSecret=NAME,
    persistence=section(enabled=FLAG, size=QUANTITY, storageClassName=NAME),
    resources=RESOURCES,
    maxmemory={"type": "string", "pattern": "^[0-9]+(kb|mb|gb)?$"},
    **PLACEMENT,
)
CERTIFICATES = section(existingSecret=NAME, caKey=SECRET_KEY, certKey=SECRET_KEY, keyKey=SECRET_KEY)
EXTERNAL_REDIS = section(
    url=ADDRESS_WITHOUT_CREDENTIALS,
    existingSecret=NAME,
    passwordKey=SECRET_KEY,
    tls=CERTIFICATES,
)
GCS = section(
    faultTolerance=FLAG,
    externalRedis=section(
        address=ADDRESS_WITHOUT_CREDENTIALS,
        username=TEXT,
        existingSecret=NAME,
        passwordKey=SECRET_KEY,
        tls=CERTIFICATES,
    ),
)
WEIGHTS = section(
    hub=section(enabled=FLAG, claim=NAME, cacheSize=QUANTITY, existingSecret=NAME, tokenKey=SECRET_KEY),
    claim=section(name=NAME, mountPath=PATH),
    objectStore=section(
        source=TEXT,
        existingSecret=NAME,
        configKey=SECRET_KEY,
        mountPath=PATH,
        size=QUANTITY,
        image=IMAGE,
        resources=RESOURCES,
    ),
)
SERVICE = section(
    type=one_of("ClusterIP", "NodePort", "LoadBalancer"),
    grpc=FLAG,
    annotations=ANNOTATIONS,
    loadBalancerClass=TEXT,
    loadBalancerSourceRanges=each(TEXT),
)
INGRESS = section(
    enabled=FLAG,
    className=NAME,
    controller=one_of("nginx", "none"),
    host=NAME,
    grpcHost=NAME,
    annotations=ANNOTATIONS,
    tls=each(section(secretName=NAME, hosts=each(NAME))),
    timeoutSeconds=POSITIVE,
    connectionsPerAddress=COUNT,
    requestsPerSecond=COUNT,
)
GATEWAY_API = section(enabled=FLAG, parentRefs=each(OBJECT), hostnames=each(TEXT), grpcHostnames=each(TEXT))
NETWORK_POLICY = section(
    enabled=FLAG,
    clients=each(PEER),
    operators=each(PEER),
    prometheus=each(PEER),
    kuberay=each(PEER),
    dns=each(PEER),
    redis=each(PEER),
    traces=each(PEER),
    apiServer=each(PEER),
    apiServerPorts=each(PORT, least=1),
    weights=each(PEER),
)
DISRUPTION = section(
    budgets=FLAG,
    priorityClass=NAME,
    priority=or_none({"type": "integer", "minimum": -(10**9), "maximum": 10**9}),
    topologySpread=each(
        {
            **section(topologyKey=TEXT, whenUnsatisfiable=one_of("DoNotSchedule", "ScheduleAnyway")),
            "required": ["topologyKey", "whenUnsatisfiable"],
        }
    ),
)
MONITORING = section(
    podMonitor=FLAG,
    scrapeConfig=FLAG,
    rules=FLAG,
    dashboards=FLAG,
    interval=DURATION,
    labels=LABELS,
    dashboardLabels=LABELS,
    runbookUrl={"type": "string", "pattern": "^(https?://.+)?$"},
)
COLLECTOR = section(
    enabled=FLAG,
    replicas=POSITIVE,
    image=IMAGE,
    export=section(
        endpoint=ADDRESS_WITHOUT_CREDENTIALS,
        insecure=FLAG,
        existingSecret=NAME,
        header={"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        key=SECRET_KEY,
    ),
    tailSampling=section(enabled=FLAG, waitSeconds=POSITIVE, slowSeconds=POSITIVE, percentage=PERCENTAGE),
    resources=RESOURCES,
    **PLACEMENT,
)
CAPACITY = section(
    enabled=FLAG,
    replicas=POSITIVE,
    elasticNodes=FLAG,
    intervalSeconds=POSITIVE,
    patienceSeconds=POSITIVE,
    holdSeconds=POSITIVE,
    resources=RESOURCES,
    **PLACEMENT,
)
SUBJECT: Schema = {
    **section(kind=one_of("User", "Group", "ServiceAccount"), name=TEXT, namespace=NAME, apiGroup=TEXT),
    "required": ["kind", "name"],
}

VALUES: dict[str, Schema] = {
    "nameOverride": {"type": "string", "maxLength": 40},
    "fullnameOverride": {"type": "string", "maxLength": 40},
    "image": IMAGE_OF_RAY,
    "ray": RAY,
    "head": section(**RAY_POD),
    "gateways": GATEWAYS,
    "workers": mapping(or_none(WORKER)),
    "upgrade": UPGRADE,
    "admin": section(existingSecret=NAME, key=SECRET_KEY),
    "tenants": section(existingSecret=NAME, key=SECRET_KEY),
    "valkey": VALKEY,
    "externalRedis": EXTERNAL_REDIS,
    "gcs": GCS,
    "weights": WEIGHTS,
    "service": SERVICE,
    "ingress": INGRESS,
    "gatewayApi": GATEWAY_API,
    "networkPolicy": NETWORK_POLICY,
    "security": section(podSecurityContext=OBJECT, containerSecurityContext=OBJECT),
    "disruption": DISRUPTION,
    "monitoring": MONITORING,
    "collector": COLLECTOR,
    "capacity": CAPACITY,
    "operator": section(subjects=each(SUBJECT)),
    "tests": section(tenant={"type": "string", "minLength": 1}, model=TEXT, waitSeconds=COUNT, resources=RESOURCES),
}
"""Every key at the top but ``config``. ``global`` is Helm's own, for charts that contain this one."""
