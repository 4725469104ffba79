import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		// Those kill brokers for minutes: `npm run test:faults`.
		exclude: [...configDefaults.exclude, "test/faults/**"],
		testTimeout: 20_000,
		hookTimeout: 90_000,
	},
});
