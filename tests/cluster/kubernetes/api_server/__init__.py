"""
A small API server of Kubernetes, over real HTTP, for tests of what speaks to one.

It keeps objects as the real one does: one counter of versions, optimistic concurrency, generations, status
subresources, defaults and refusals from the schemas, selectors, pages, watches, evictions within budgets, garbage
collection, access control. It has no controllers, schedules nothing, evaluates no CEL, and fills in no defaults of
built-in kinds. Server-side apply and CBOR are refused; of protobuf it reads what
helm sends, and it answers in JSON.
"""

from tests.cluster.kubernetes.api_server.asked import Asked
from tests.cluster.kubernetes.api_server.server import ApiServer, api_server
from tests.cluster.kubernetes.api_server.watching import Instruction

__all__ = ["ApiServer", "Asked", "Instruction", "api_server"]
