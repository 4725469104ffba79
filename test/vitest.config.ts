import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		// Those kill brokers, flood agents and install a Debian for minutes: `npm run test:faults`, `test:agent-faults`, `test:process-faults`,
		// `test:deb`, `test:nodes`.
		exclude: [
			...configDefaults.exclude,
			"test/faults/**",
			"test/agent-faults/**",
			"test/process-faults/**",
			"test/nodes/**",
			"test/packaging/**",
		],
		// Most of them wait for programs that they have started. Vitest would leave one of two cores to itself.
		maxWorkers: Math.max(2, availableParallelism() - 1),
		// For machines that have much to do beside it; what must be quick says so itself.
		testTimeout: 180_000,
		expect: { poll: { timeout: 60_000 } },
		hookTimeout: 180_000,
	},
});
