import { defineConfig } from "vitest/config";

/** `npm run test:process-faults`: the service as it is built, and what befalls a process. One file after the other. */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/process-faults/**/*.test.ts"],
		reporters: ["default", "./test/faults/table.ts"],
		fileParallelism: false,
		// For what the machine does beside it; the table tells.
		retry: 1,
		testTimeout: 120_000,
		expect: { poll: { timeout: 30_000 } },
		hookTimeout: 180_000,
	},
});
