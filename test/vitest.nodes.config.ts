import { defineConfig } from "vitest/config";

/** `npm run test:nodes`: the same on every Node.js that is supported. */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/nodes/**/*.test.ts"],
		fileParallelism: false,
		testTimeout: 600_000,
		hookTimeout: 300_000,
	},
});
