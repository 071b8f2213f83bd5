import pytest

from surehook.shared.job_id import JobId

EVENT_ID = "0b7f4f8e-0a4b-4b0a-9a53-5e3f1f0c7c11"


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        pytest.param(EVENT_ID, JobId(EVENT_ID), id="the event's own job"),
        pytest.param(f"{EVENT_ID}_mail-welcome", JobId(EVENT_ID, "mail-welcome"), id="a handler's job"),
        pytest.param(f"{EVENT_ID}_send_mail", JobId(EVENT_ID, "send_mail"), id="a handler with an underscore"),
        pytest.param("", JobId(""), id="empty"),
    ],
)
def test_job_id_is_read_and_written(text: str, job_id: JobId) -> None:
    assert JobId.parse(text) == job_id
    assert str(job_id) == text
