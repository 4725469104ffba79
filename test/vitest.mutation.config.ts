import { defineConfig } from "vitest/config";

/**
 * The engine's own tests only, and those that hold its built-in policy against config/policy.yaml, with fewer random runs: a
 * mutant that survives them is looked at by a person.
 */
export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/{compat,policy}/**/*.test.ts"],
		setupFiles: ["test/fewer-runs.ts"],
		env: { FUZZ_RUNS: "200" },
		testTimeout: 60_000,
	},
});
