"""A client that knows nothing but the description of the interface: what it cannot read, it refuses."""

import sys

import varlink

with varlink.Client("unix:" + sys.argv[1]) as client:
    assert sorted(client.get_interfaces()) == ["org.nbkp.Daemon", "org.varlink.service"]
    with client.open("org.nbkp.Daemon") as daemon:
        status = daemon.Status()
        assert status["version"] == 1 and status["syncs"][0]["name"] == "documents", status

        *progress, end = daemon.Run(["documents"], True, _more=True)
        assert progress[0]["accepted"][0]["queued"] is True, progress
        assert [run["outcome"] for run in end["runs"]] == ["ok"], end
        assert daemon.History("documents")["runs"][0]["id"] == end["runs"][0]["id"]

        *lines, sums = daemon.Diff("documents", _more=True)
        assert lines[0]["kind"] == "command" and sums["syncs"][0]["deleted"] == 0, (lines, sums)

        try:
            daemon.Why("document")
        except varlink.VarlinkError as error:
            assert error.error() == "org.nbkp.Daemon.UnknownSync", error
            assert error.parameters() == {"sync": "document", "similar": ["documents"]}, error
        else:
            raise AssertionError("an unknown sync is no error")
        assert daemon.Ping() == {}
