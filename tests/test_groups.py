"""Tests that share something dear (a server, a study that has run) run in one process when several run at once."""


def test_a_group_is_in_the_name_of_each_of_its_tests(request, worker_id):
    """The scheduler reads groups from the names: where they are not, a server starts in every process."""
    grouped = [item for item in request.session.items if item.get_closest_marker("xdist_group")]
    alone = worker_id == "master"
    assert all(alone or item.nodeid.rpartition("@")[2] in {"prefect", "real"} for item in grouped)
