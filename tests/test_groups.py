"""Tests that share something dear (a server, a study that has run) run in one process when several run at once."""


def test_a_group_is_in_the_name_of_each_of_its_tests(request, worker_id):
    """The scheduler reads groups from the names: where they are not, a server starts in every process."""
    groups = [(item.nodeid, item.get_closest_marker("xdist_group").args[0]) for item in request.session.items]
    assert all(worker_id == "master" or name.endswith(f"@{group}") for name, group in groups)
