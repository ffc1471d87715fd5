from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.gateway.grpc.reply import Reply

replies = st.builds(
    Reply,
    st.none() | st.binary(),
    st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz-"), st.text()),
    st.booleans(),
)


@given(replies)
def test_a_reply_arrives_as_it_was(reply: Reply) -> None:
    assert Reply.of(reply.SerializeToString()) == reply
    assert reply.SerializeToString()
