"""Requests that are made once: their settings are those of the moment, but for the retries."""

from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks._server import impatient


def test_retries_alone_are_changed_and_come_back():
    patience = PREFECT_CLIENT_MAX_RETRIES.value()
    assert patience > 0
    for url in ("http://one/api", "http://two/api", "http://one/api"):
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: patience + 1}):
            with impatient():
                assert (PREFECT_API_URL.value(), PREFECT_CLIENT_MAX_RETRIES.value()) == (url, 0)
                with impatient():
                    assert (PREFECT_API_URL.value(), PREFECT_CLIENT_MAX_RETRIES.value()) == (url, 0)
            assert PREFECT_CLIENT_MAX_RETRIES.value() == patience + 1
    with impatient():
        assert PREFECT_CLIENT_MAX_RETRIES.value() == 0 and not str(PREFECT_API_URL.value()).startswith("http://one")
    assert PREFECT_CLIENT_MAX_RETRIES.value() == patience
