import { defineConfig } from "vitest/config";

/** `npm run test:faults`: the service as it is built, against brokers and networks that fail. One file after the other. */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/faults/**/*.test.ts"],
		reporters: ["default", "./test/faults/table.ts"],
		fileParallelism: false,
		// For what the machine does beside it; the table tells.
		retry: 1,
		testTimeout: 120_000,
		expect: { poll: { timeout: 30_000 } },
		hookTimeout: 180_000,
	},
});
