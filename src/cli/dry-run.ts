import type { Decision } from "../compat/decision.ts";
import { DEVICE_ID_FORMS, isDeviceId } from "../compat/device.ts";
import { MIGRATION_COMPAT_TOPIC } from "../nova/topic.ts";
import { z } from "../zod.ts";
import { type BusOptions, exitCodeOfFailure, withClient } from "./bus.ts";
import { complain } from "./complain.ts";
import { CALL_EXIT, EXIT, UsageError } from "./exit-codes.ts";
import { type Output, type OutputOptions, print } from "./output.ts";

export interface DryRunOptions extends BusOptions, OutputOptions {
	/** Seconds. */
	readonly timeout: number;
	/** Ids on the source; left out, what the instance uses. */
	readonly device?: readonly string[];
}

/** As much of a decision as is shown; a service of another version may know more reasons. */
export const DecisionReply = z.looseObject({
	id: z.string(),
	verdict: z.enum(["accept", "conditional", "reject", "unknown"]),
	allowed: z.boolean(),
	mapping: z.record(z.string(), z.string()),
	reasons: z.array(z.looseObject({ code: z.string(), severity: z.enum(["error", "warning"]), message: z.string() })),
}) as unknown as z.ZodType<Decision>;

interface Question<Answer> {
	readonly method: string;
	readonly version: string;
	readonly request: { readonly instance_uuid: string } & Readonly<Record<string, unknown>>;
	readonly answer: z.ZodType<Answer>;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Asks the running service, which migrates nothing; `show` prints the answer, whose verdict is the exit code. */
export async function dryRun<Answer>(
	{ method, version, request, answer }: Question<Answer>,
	{ device, ...options }: DryRunOptions,
	show: (answer: Answer) => Omit<Output, "data"> & { readonly exitCode: number },
): Promise<number> {
	if (!UUID.test(request.instance_uuid)) {
		throw new UsageError(`the instance is ${JSON.stringify(request.instance_uuid)}, expected its uuid`);
	}
	const wrong = device?.find((id) => !isDeviceId(id));
	if (wrong !== undefined) {
		throw new UsageError(`--device is ${JSON.stringify(wrong)}, expected ${DEVICE_ID_FORMS}`);
	}
	return withClient(options, async (client, exchange) => {
		const target = { exchange, topic: MIGRATION_COMPAT_TOPIC, version };
		const args = { request: { ...request, ...(device && { devices: device }) } };
		try {
			const reply = await client.call(target, method, args, { timeout: options.timeout });
			const read = answer.safeParse(reply);
			if (!read.success) {
				complain(
					`the answer is no decision: is this service of another version? ${z.prettifyError(read.error).replaceAll("\n", " ")}`,
				);
				return EXIT.unknown;
			}
			const { exitCode, ...shown } = show(read.data);
			print({ ...shown, data: reply }, options);
			return exitCode;
		} catch (error) {
			const exitCode = exitCodeOfFailure(error, target);
			// Who asks for a verdict shall not take that for a refusal.
			return exitCode === CALL_EXIT.failed ? EXIT.unknown : exitCode;
		}
	});
}
