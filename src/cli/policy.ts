import type { Policy } from "../compat/policy.ts";
import { lintPolicy } from "../policy/lint.ts";
import { loadPolicy } from "../policy/policy.ts";
import { complain } from "./complain.ts";
import { EXIT } from "./exit-codes.ts";

/** Says what is odd about a policy file; a file that is no policy is a ConfigError, as everywhere. */
export function policyCheck(file: string): number {
	const warnings = lintPolicy(file, Date.now());
	for (const warning of warnings) process.stdout.write(`${warning}\n`);
	if (warnings.length > 0) return EXIT.warnings;
	process.stdout.write(`${file}: ok\n`);
	return EXIT.accept;
}

/** The policy of a file as it is now; without one, what is built in. */
export function policyOf(file: string | undefined): Policy {
	return loadPolicy(file, complain)();
}
