import { z } from "zod";

// zod makes its validators with `new Function` unless it is told not to. A process that need not compile text cannot be made to:
// the units start Node.js with --disallow-code-generation-from-strings. Set here, so that what is tested is what runs.
z.config({ jitless: true });

export { z };
