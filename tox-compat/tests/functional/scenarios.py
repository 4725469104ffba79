"""What Nova does with our answers. One test, one scenario."""

from functional import case

case.install_hook()


class AcceptTest(case.Case):
    def test_accepted(self):
        server = self.boot_vgpu()
        self.build_hosts(host2="2.1.0", host3="2.1.0")
        self.serve()
        self.migrate(server, "host2")
        self.assert_migrated(server, "host2")
        self.assertEqual([("Success", None)], self.events(server))
