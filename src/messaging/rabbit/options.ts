import { hostname } from "node:os";
import { z } from "../../zod.ts";
import { InvalidRabbitOptions } from "../errors.ts";
import { pythonInt } from "../python-int.ts";

/** oslo.config's words for booleans (Boolean of oslo_config/types.py); an option comes from YAML, from an ini file or from a URL. */
const YES_NO: ReadonlyMap<unknown, boolean> = new Map([
	...["true", "1", 1, "yes", "on"].map((word) => [word, true] as const),
	...["false", "0", 0, "no", "off"].map((word) => [word, false] as const),
]);
const LARGEST_INT32 = 2_147_483_647;

/** For oslo.config's own booleans outside of this section too. */
export const OsloBoolean = z.preprocess(
	(value) => YES_NO.get(typeof value === "string" ? value.toLowerCase() : value) ?? value,
	z.boolean("expected true or false"),
);

const flag = (preset: boolean) => OsloBoolean.default(preset);

const integer = (max: number, min = -LARGEST_INT32) => {
	const expected = `expected a whole number ${min < 0 ? "" : `from ${min} `}up to ${max}`;
	return z.preprocess(
		(value) => (typeof value === "string" ? (pythonInt(value) ?? value) : value),
		z.int(expected).min(min, expected).max(max, expected),
	);
};

/** Without a minimum a number below 0 means 0, as in Python, which only asks whether it is more than 0. */
const whole = (preset: number, max: number, min?: number) =>
	integer(max, min)
		.transform((number) => Math.max(number, 0))
		.default(preset);

const oneOf = <const T extends readonly [string, ...string[]]>(...words: T) =>
	z.enum(words, `expected ${words.join(" or ")}`).default(words[0]);

/** Of it and another one is made the name of a reply queue, which has 200 characters and these ones (see replies.ts), and others at most. */
const name = z
	.string("expected a name")
	.regex(/^[0-9A-Za-z_.-]{1,90}$/, "expected a name of 1 to 90 letters, digits, dots, dashes and underscores");

const file = z
	.string("expected the path of a file")
	.refine((path) => !path.includes("\n"), "expected the path of a file")
	.optional()
	.transform((path) => (path === "" ? undefined : path));

/** What newer or older releases know and what means nothing here: accepted, so that nova.conf can be used as it is. */
const IGNORED = z.unknown().optional();

/**
 * Options of `[oslo_messaging_rabbit]`, by the same names and with the same meaning (oslo_messaging/_drivers/impl_rabbit.py,
 * amqp.py), and one of our own. Defaults are oslo's but for `heartbeat_timeout_threshold` (60 there: a hung broker would go unnoticed for two
 * minutes), `kombu_missing_consumer_retry_timeout` (60 there: what waits holds memory) and `processname`.
 */
export const RabbitOptions = z.strictObject({
	ssl: flag(false),
	/** Unset, the authorities that Node.js knows. */
	ssl_ca_file: file,
	/** Our own: false verifies nothing, as oslo.messaging does without `ssl_ca_file` and with an amqp older than 5.1. */
	ssl_verify: flag(true),
	ssl_cert_file: file,
	ssl_key_file: file,
	ssl_enforce_hostname_verification: flag(true),
	/** Topic exchange and topic queues. */
	amqp_durable_queues: flag(false),
	amqp_auto_delete: flag(false),
	rabbit_quorum_queue: flag(false),
	/** Reply and fanout queues. */
	rabbit_transient_quorum_queue: flag(false),
	rabbit_stream_fanout: flag(false),
	rabbit_ha_queues: flag(false),
	/** Below 0 is something else than 0, which is not declared: no limit, in RabbitMQ 4, which has one of its own. */
	rabbit_quorum_delivery_limit: integer(LARGEST_INT32).default(0),
	rabbit_quorum_max_memory_length: whole(0, LARGEST_INT32),
	rabbit_quorum_max_memory_bytes: whole(0, Number.MAX_SAFE_INTEGER),
	/** Seconds; 0 is for ever. RabbitMQ takes 2^32 ms at most. */
	rabbit_transient_queues_ttl: whole(1800, 4_294_967, 0),
	use_queue_manager: flag(false),
	hostname: name.default(hostname),
	processname: name.default("novacompat"),
	/** Messages of a queue that wait for their acknowledgement at most; never less than twice as many as are worked on at once. */
	rabbit_qos_prefetch_count: whole(0, 65_535),
	/** Seconds; 0 is none. */
	heartbeat_timeout_threshold: whole(5, 65_535),
	rabbit_login_method: oneOf("AMQPLAIN", "PLAIN", "EXTERNAL"),
	kombu_failover_strategy: oneOf("round-robin", "shuffle"),
	/** Seconds that a reply waits for its queue to come back; in milliseconds a timer has 31 bits. */
	kombu_missing_consumer_retry_timeout: whole(10, 2_147_483),
	direct_mandatory_flag: flag(true),
	enable_cancel_on_failover: flag(false),
	kombu_compression: IGNORED,
	kombu_reconnect_delay: IGNORED,
	kombu_reconnect_splay: IGNORED,
	rabbit_retry_interval: IGNORED,
	rabbit_retry_backoff: IGNORED,
	rabbit_interval_max: IGNORED,
	heartbeat_rate: IGNORED,
	heartbeat_in_pthread: IGNORED,
	rpc_conn_pool_size: IGNORED,
	conn_pool_min_size: IGNORED,
	conn_pool_ttl: IGNORED,
	ssl_version: IGNORED,
	ssl_enforce_fips_mode: IGNORED,
});
export type RabbitOptions = z.infer<typeof RabbitOptions>;

type Rule = readonly [holds: (options: RabbitOptions) => boolean, expected: string];

/** What Python refuses too, all but the last: it leaves a key without its certificate unused. */
const RULES: readonly Rule[] = [
	[
		(o) => !(o.rabbit_ha_queues && (o.rabbit_quorum_queue || o.rabbit_transient_quorum_queue)),
		"rabbit_ha_queues is set, expected neither rabbit_quorum_queue nor rabbit_transient_quorum_queue: a queue is mirrored or quorum",
	],
	[
		(o) => !o.rabbit_stream_fanout || o.rabbit_transient_quorum_queue,
		"rabbit_stream_fanout is set, expected rabbit_transient_quorum_queue too",
	],
	[
		(o) => !o.rabbit_stream_fanout || o.rabbit_qos_prefetch_count > 0,
		"rabbit_stream_fanout is set, expected rabbit_qos_prefetch_count to be more than 0",
	],
	[
		(o) => !o.ssl || o.ssl_key_file === undefined || o.ssl_cert_file !== undefined,
		"ssl_key_file is set, expected ssl_cert_file too",
	],
];

/** What is wrong with one option wherever it is written; undefined when nothing is. */
export function problemOfOption(option: string, value: unknown): string | undefined {
	if (!isRabbitOption(option)) return "expected an option of [oslo_messaging_rabbit]";
	return RabbitOptions.shape[option].safeParse(value).error?.issues[0]?.message;
}

export function isRabbitOption(option: string): option is keyof RabbitOptions {
	return Object.hasOwn(RabbitOptions.shape, option);
}

/**
 * The options of one connection: the query of its transport_url goes before the section, as in oslo.messaging
 * (oslo_messaging/_drivers/common.py, ConfigOptsProxy). Throws InvalidRabbitOptions when options contradict each other.
 */
export function rabbitOptions(
	section: Readonly<Record<string, unknown>>,
	query: ReadonlyMap<string, string>,
): RabbitOptions {
	const written = { ...section, ...Object.fromEntries(query) };
	for (const [option, value] of Object.entries(written)) {
		const problem = problemOfOption(option, value);
		if (problem !== undefined) throw new InvalidRabbitOptions(`${option}: ${problem}`);
	}
	const options = RabbitOptions.parse(written);
	const broken = RULES.find(([holds]) => !holds(options));
	if (broken) throw new InvalidRabbitOptions(broken[1]);
	return options;
}
