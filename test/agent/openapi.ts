import { z } from "zod";
import { Snapshot } from "../../src/snapshot/snapshot.ts";

const PROBLEM_TYPE = "application/problem+json";

const InstanceDevices = z.object({
	instance: z.guid(),
	/** False where no domain of this uuid runs on the host. */
	running: z.boolean(),
	devices: Snapshot.shape.devices,
});

/** RFC 9457. */
const Problem = z.object({
	type: z.string().regex(/^urn:novacompat:problem:[a-z-]+$/),
	title: z.string(),
	status: z.int(),
	detail: z.string(),
});

/** oslo.middleware's healthcheck; in detail with the option `detailed`. */
const Health = z.discriminatedUnion("detailed", [
	z.object({ detailed: z.literal(false), reasons: z.array(z.string()).min(1) }),
	z.object({
		detailed: z.literal(true),
		reasons: z.array(z.object({ class: z.string(), reason: z.string(), details: z.string() })).min(1),
	}),
]);

const Versions = z.object({
	versions: z.array(
		z.object({
			id: z.literal("v1"),
			status: z.literal("CURRENT"),
			min_version: z.string(),
			max_version: z.string(),
			links: z.array(z.object({ rel: z.string(), href: z.string() })),
		}),
	),
});

const SCHEMAS = { Snapshot, InstanceDevices, Problem, Health, Versions };

/** An answer is an object of which later versions may have more: readers ignore what they do not know. */
function schemaOf(type: z.ZodType): object {
	const { $schema, ...schema } = z.toJSONSchema(type, { io: "input", unrepresentable: "any" });
	return schema;
}

const body = (name: keyof typeof SCHEMAS, type = "application/json") => ({
	[type]: { schema: { $ref: `#/components/schemas/${name}` } },
});
const text = { "text/plain": { schema: { type: "string" } } };
const header = (description: string, schema: object) => ({ description, required: true, schema });

const CACHE_CONTROL = { "Cache-Control": header("Never stored on the way.", { const: "no-store" }) };
const AGE = header("Milliseconds since the scan behind the answer ended.", { type: "string", pattern: "^\\d+$" });
const RETRY_AFTER = header("Seconds after which to ask again.", { type: "string", pattern: "^\\d+$" });

interface Headers {
	readonly [name: string]: ReturnType<typeof header>;
}
const response = (description: string, content: object | undefined, headers: Headers = {}) => ({
	description,
	headers: { ...CACHE_CONTROL, ...headers },
	...(content && { content }),
});

const problem = (description: string, headers: Headers = {}) =>
	response(description, body("Problem", PROBLEM_TYPE), headers);

/** What may come of any request, at any path. */
const ANYWHERE = {
	400: problem("That is no request of HTTP, or what its path names is no uuid."),
	404: problem("There is nothing at this path, or it has a query: there are no parameters."),
	405: problem("The method is not allowed at this path.", {
		Allow: header("The methods that are.", { type: "string", pattern: "^[A-Z]+(, [A-Z]+)*$" }),
	}),
	408: problem("The request took too long to arrive: 5 s for its header, 10 s for all of it."),
	431: problem("The header is larger than 16 KiB."),
	503: problem("No scan has ended yet, or too many requests are being answered.", { "Retry-After": RETRY_AFTER }),
};
export type AnywhereStatus = keyof typeof ANYWHERE;
const REFERENCES = Object.fromEntries(
	Object.keys(ANYWHERE).map((status) => [status, { $ref: `#/components/responses/${status}` }]),
);
/** Of an operation: its own, and those of any. */
const responses = (own: Readonly<Record<number, ReturnType<typeof response>>>) => ({ ...REFERENCES, ...own });

const ETAG = header("Changes with the body.", { type: "string", pattern: '^"[^"]+"$' });

/** A path that says whether the agent is well, and if it can be that it is not. */
function health(operationId: string, description: string, ill: readonly 503[]) {
	const reasons = { ...text, ...body("Health") };
	const notHealthy = response("Not healthy, and why; or as elsewhere.", {
		...reasons,
		...body("Problem", PROBLEM_TYPE),
	});
	const illAs = (answer: ReturnType<typeof response>) => Object.fromEntries(ill.map((status) => [status, answer]));
	return {
		get: {
			operationId,
			description,
			responses: responses({ 200: response("Healthy.", reasons), ...illAs(notHealthy) }),
		},
		head: {
			operationId: `${operationId}Status`,
			description,
			responses: responses({ 204: response("Healthy.", undefined), ...illAs(response("Not healthy.", undefined)) }),
		},
	};
}

/** The OpenAPI document of the agent; `maxVersion` is that of the snapshot's schema. */
export function openApi(maxVersion: string) {
	return {
		openapi: "3.1.0",
		info: {
			title: "novacompat agent",
			version: maxVersion,
			description: "What one compute node says about its devices. Clients need a certificate; nothing can be changed.",
			license: { name: "Apache-2.0", identifier: "Apache-2.0" },
		},
		paths: {
			"/": {
				get: {
					operationId: "versions",
					responses: responses({ 200: response("Versions of the API.", body("Versions")) }),
				},
			},
			"/v1/snapshot": {
				get: {
					operationId: "snapshot",
					parameters: [
						{
							name: "If-None-Match",
							in: "header",
							description: "ETag of the snapshot that the client has.",
							schema: { type: "string" },
						},
					],
					responses: responses({
						200: response("The devices of the host.", body("Snapshot"), { ETag: ETAG, "Collected-Age-Ms": AGE }),
						304: response("The client has it.", undefined, { ETag: ETAG, "Collected-Age-Ms": AGE }),
					}),
				},
			},
			"/v1/instances/{uuid}/devices": {
				get: {
					operationId: "instanceDevices",
					parameters: [
						{ name: "uuid", in: "path", required: true, description: "Of the instance.", schema: { type: "string" } },
					],
					responses: responses({
						200: response("The devices that the instance uses.", body("InstanceDevices"), { "Collected-Age-Ms": AGE }),
					}),
				},
			},
			"/livez": health("livez", "As long as anything is answered at all.", []),
			"/readyz": health("readyz", "With a scan that has ended in the last two minutes.", [503]),
			"/healthcheck": health("healthcheck", "The same as /readyz.", [503]),
			"/metrics": {
				get: { operationId: "metrics", responses: responses({ 200: response("For Prometheus.", text) }) },
			},
		},
		components: {
			responses: ANYWHERE,
			schemas: Object.fromEntries(Object.entries(SCHEMAS).map(([name, type]) => [name, schemaOf(type)])),
		},
	};
}
