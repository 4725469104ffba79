import { hostname } from "node:os";
import { z } from "zod";

/** oslo.config's words for booleans; an option comes from YAML, from an ini file or from a URL. */
const YES_NO: ReadonlyMap<string, boolean> = new Map([
	...["true", "1", "yes", "on"].map((word) => [word, true] as const),
	...["false", "0", "no", "off"].map((word) => [word, false] as const),
]);

const flag = (preset: boolean) =>
	z.preprocess((value) => YES_NO.get(String(value).toLowerCase()) ?? value, z.boolean()).default(preset);

const whole = (preset: number, { min = 0, max = 2_147_483_647 } = {}) =>
	z
		.preprocess((value) => (/^\d{1,10}$/.test(String(value)) ? Number(value) : value), z.int().min(min).max(max))
		.default(preset);

const file = z
	.string()
	.optional()
	.transform((path) => (path === "" ? undefined : path));

/** What newer or older releases know and what means nothing here: accepted, so that nova.conf can be used as it is. */
const IGNORED = z.unknown().optional();

/**
 * Options of `[oslo_messaging_rabbit]`, by the same names and with the same meaning (oslo_messaging/_drivers/impl_rabbit.py,
 * amqp.py). Defaults are oslo's but for `heartbeat_timeout_threshold` (60 there: a hung broker would go unnoticed for two
 * minutes), `kombu_missing_consumer_retry_timeout` (60 there: dead callers would hold memory) and `processname`.
 */
export const RabbitOptions = z.strictObject({
	ssl: flag(false),
	/** Set, the broker's certificate must be valid; unset, nothing is verified, as in Python. */
	ssl_ca_file: file,
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
	rabbit_quorum_delivery_limit: whole(0),
	rabbit_quorum_max_memory_length: whole(0),
	rabbit_quorum_max_memory_bytes: whole(0),
	/** Seconds; 0 is for ever. */
	rabbit_transient_queues_ttl: whole(1800),
	use_queue_manager: flag(false),
	hostname: z.string().min(1).default(hostname),
	processname: z.string().min(1).default("novacompat"),
	/** Messages of a queue that wait for their acknowledgement at most; 0: as many as are worked on at once. */
	rabbit_qos_prefetch_count: whole(0, { max: 65_535 }),
	/** Seconds; 0 is none. */
	heartbeat_timeout_threshold: whole(5, { max: 65_535 }),
	rabbit_login_method: z.enum(["AMQPLAIN", "PLAIN", "EXTERNAL"]).default("AMQPLAIN"),
	kombu_failover_strategy: z.enum(["round-robin", "shuffle"]).default("round-robin"),
	/** Seconds that a reply waits for its queue to come back. */
	kombu_missing_consumer_retry_timeout: whole(2),
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
