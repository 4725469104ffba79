import { z } from "zod";

// zod makes its validators with `new Function` unless it is told not to. A process that need not compile text cannot be made to:
// the units start Node.js with --disallow-code-generation-from-strings. Set here, so that what is tested is what runs.
z.config({
	jitless: true,
	// What there is instead of an unknown option, for yaml.ts to choose from.
	customError: ({ code, inst }) =>
		code === "unrecognized_keys" && inst instanceof z.ZodObject ? Object.keys(inst.shape).join(" ") : undefined,
});

export { z };
