import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		// Those kill brokers and flood agents for minutes: `npm run test:faults`, `npm run test:agent-faults`.
		exclude: [...configDefaults.exclude, "test/faults/**", "test/agent-faults/**"],
		testTimeout: 20_000,
		hookTimeout: 90_000,
	},
});
