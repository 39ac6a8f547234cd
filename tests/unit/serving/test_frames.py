"""Frames come out of the inbox as they went in, however the bytes are cut on their way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raykqi.serving.frames import ANSWER, ASK, LARGE, Asked, Frame, Inbox, asking, frame, read_asking

FRAMES = st.lists(
    st.builds(
        Frame,
        what=st.sampled_from([ASK, ANSWER]),
        number=st.integers(0, 65535),
        id=st.integers(0, 2**32 - 1),
        meta=st.binary(max_size=40),
        body=st.one_of(
            st.binary(max_size=50), st.integers(LARGE - 2, LARGE * 5).map(lambda size: b"y" * (size - 1) + b"x")
        ),
    ),
    max_size=6,
)


def received(data: bytes, cuts: list[int]) -> list[Frame]:
    inbox, frames, at, turn = Inbox(), [], 0, 0
    while at < len(data):
        room = inbox.room()
        assert len(room)
        count = min(len(room), len(data) - at, cuts[turn % len(cuts)])
        room[:count] = data[at : at + count]
        frames += inbox.filled(count)
        at, turn = at + count, turn + 1
    return frames


@given(frames=FRAMES, cuts=st.lists(st.sampled_from([1, 7, 19, 21, 1000, LARGE, 10**7]), min_size=1, max_size=5))
def test_frames_arrive_as_they_were_sent(frames: list[Frame], cuts: list[int]) -> None:
    sent = b"".join(piece for each in frames for piece in frame(*each))
    cuts = [cut if cut > 20 or len(sent) < 5000 else 1000 + cut for cut in cuts]

    assert received(sent, cuts) == frames


def test_a_large_body_is_received_where_it_stays() -> None:
    inbox = Inbox()
    head, body = frame(ASK, 0, 1, b"", b"z" * 10 * LARGE)
    room = inbox.room()
    room[: len(head)] = head
    assert inbox.filled(len(head)) == []

    place = inbox.room()
    assert len(place) == len(body)
    (whole,) = inbox.filled(len(body))

    assert place.obj is whole.body


def test_a_request_takes_along_only_what_the_process_reads() -> None:
    asked = Asked("infer", {"content-type": "application/json", "authorization": "Bearer secret"}, b"{}")

    assert read_asking(asking(asked, 12.5)) == (12.5, {"content-type": "application/json"})
