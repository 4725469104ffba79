import { defineConfig } from "vitest/config";

/** `npm run test:deb`: the Debian package in a Debian of its own. As root. */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/packaging/**/*.test.ts"],
		fileParallelism: false,
		testTimeout: 120_000,
		hookTimeout: 600_000,
	},
});
