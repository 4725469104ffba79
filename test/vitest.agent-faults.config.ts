import { defineConfig } from "vitest/config";

/** `npm run test:agent-faults`: agents as they are built, hosts, networks and clients that fail. One file after the other. */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		// What of TLS and of the tree that is read can go wrong stands in tables of their own, which are quick.
		include: ["test/agent-faults/**/*.test.ts", "test/agent/{tls,sysfs}.test.ts"],
		reporters: ["default", "./test/faults/table.ts"],
		fileParallelism: false,
		// For what the machine does beside it; the table tells.
		retry: 1,
		testTimeout: 120_000,
		expect: { poll: { timeout: 30_000 } },
		hookTimeout: 180_000,
	},
});
