import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { isLoopback, parseListen } from "./http/listen.ts";
import { DEFAULT_JOURNAL_DIR } from "./journal/files.ts";
import { problemOfFormat } from "./log/format.ts";
import { problemOfDateFormat } from "./log/strftime.ts";
import { DEFAULT_DATE_FORMAT } from "./log/time.ts";
import { InvalidRabbitOptions, InvalidTransportUrl } from "./messaging/errors.ts";
import { isRabbitOption, problemOfOption, rabbitOptions } from "./messaging/rabbit/options.ts";
import { parseTransportUrl } from "./messaging/rabbit/transport-url.ts";
import type { NovaConf } from "./nova-conf.ts";
import { AgentOptions, checkAgentOptions, HostName } from "./snapshot/agent-options.ts";
import { isMapping, type Placed, quotable, readYamlWithPlaces } from "./yaml.ts";
import { z } from "./zod.ts";

/** RabbitMQ gives a connection 2,047 channels unless its `channel_max` is another one; the service takes a few besides. */
const MAX_STAND_INS = 1_000;

const TransportUrlText = z.string("expected rabbit://user:password@host:port/vhost").transform((text, context) => {
	try {
		return parseTransportUrl(text);
	} catch (error) {
		if (!(error instanceof InvalidTransportUrl)) throw error;
		context.addIssue(error.message);
		return z.NEVER;
	}
});

const RabbitSection = z.record(z.string(), z.unknown()).superRefine((section, context) => {
	for (const [option, value] of Object.entries(section)) {
		const problem = problemOfOption(option, value);
		if (problem === undefined) continue;
		// Of an option that nobody knows the value may be a password.
		const got = isRabbitOption(option) ? `, got ${quotable(JSON.stringify(value))}` : "";
		context.addIssue({ code: "custom", path: [option], message: `${problem}${got}` });
	}
});

/** The bus of a cell to listen in on; what it does not say of the bus is as for the service itself. */
const ShadowSection = z.strictObject({
	transport_url: TransportUrlText.refine(({ driver }) => driver === "rabbit", "expected rabbit://"),
	control_exchange: z.string().min(1).optional(),
	oslo_messaging_rabbit: RabbitSection.default({}),
});

const CellName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "expected a name of letters, digits, _ and -");

const Topic = z.string().regex(/^[A-Za-z0-9_.-]{1,200}$/, "expected a topic such as versioned_notifications");
/** In the file in MiB, then in bytes. */
const FileSize = z
	.number()
	.min(1)
	.max(256)
	.default(32)
	.transform((mebibytes) => mebibytes * 1024 * 1024);

/** 0 is no limit. */
const ChecksPerSecond = z.int().min(0).max(1_000_000);

/** Where decisions are written down. */
const JournalSection = z.strictObject({
	directory: z.string().min(1).default(DEFAULT_JOURNAL_DIR),
	max_file_size: FileSize,
	max_files: z.int().min(2).max(1000).default(16),
});

/** Where messages are written down, for harnesses. */
const RecordingSection = z.strictObject({ file: z.string().min(1), max_file_size: FileSize });

const ListenText = z.string("expected address:port").transform((text, context) => {
	const listen = parseListen(text);
	if (listen) return listen;
	context.addIssue(`got ${JSON.stringify(text)}, expected address:port`);
	return z.NEVER;
});

const textWithout = (problemOf: (text: string) => string | undefined) =>
	z.string().superRefine((text, context) => {
		const problem = problemOf(text);
		if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
	});

/** Where the service says how it is. */
const HttpSection = z
	.strictObject({
		listen: ListenText.default({ address: "127.0.0.1", port: 9876 }),
		status_page: z.boolean().default(false),
		detailed: z.boolean().default(false),
		disable_by_file_path: z.string().min(1).optional(),
		allow_insecure: z.boolean().default(false),
	})
	.refine(({ listen, allow_insecure }) => allow_insecure || isLoopback(listen.address), {
		path: ["listen"],
		message: "others can reach this address, and there is no TLS: expected a loopback address, or allow_insecure: true",
	});

/** The configuration file of `novacompat serve`; config/README.md describes every option. Names are a contract. */
export const Config = z
	.strictObject({
		/** Left out, there is no bus to answer on, only such to listen in on. */
		transport_url: TransportUrlText.optional(),
		shadow: z.record(CellName, ShadowSection).default({}),
		control_exchange: z.string().min(1).default("nova"),
		oslo_messaging_rabbit: RabbitSection.default({}),
		ack: z.enum(["after", "before"]).default("after"),
		rpc_ping_enabled: z.boolean().default(false),
		host: HostName.default(hostname),
		...AgentOptions.shape,
		max_check_time: z.number().positive().max(60).default(15),
		executor_thread_pool_size: z.int().min(1).max(4096).default(64),
		/** A quarter of what one process can decide: the other hosts keep the rest. Nova's scheduler cannot ask so often. */
		max_checks_per_second_per_host: ChecksPerSecond.default(2_000),
		/** More than one process can decide. */
		max_checks_per_second: ChecksPerSecond.default(10_000),
		stand_in_hosts: z
			.array(HostName)
			.max(
				MAX_STAND_INS,
				`expected at most ${MAX_STAND_INS} hosts: each takes two of the 2047 channels of a connection`,
			)
			.default([]),
		policy_file: z.string().min(1).optional(),
		versioned_notifications_topics: z.array(Topic).default([]),
		journal: JournalSection.optional(),
		recording: RecordingSection.optional(),
		http: HttpSection.optional(),
		debug: z.boolean().default(false),
		use_json: z.boolean().default(false),
		logging_context_format_string: textWithout(problemOfFormat).optional(),
		logging_default_format_string: textWithout(problemOfFormat).optional(),
		log_date_format: textWithout(problemOfDateFormat).default(DEFAULT_DATE_FORMAT),
	})
	.superRefine(checkAgentOptions)
	.superRefine(({ oslo_messaging_rabbit: section, transport_url, shadow, versioned_notifications_topics }, context) => {
		if (!transport_url && Object.keys(shadow).length === 0) {
			const message =
				"expected rabbit://user:password@host:port/vhost, here or in a --nova-conf; or a section of shadow";
			context.addIssue({ code: "custom", path: ["transport_url"], message });
		}
		if (!transport_url && versioned_notifications_topics.length > 0) {
			const message = "expected transport_url too: there is no bus to send to";
			context.addIssue({ code: "custom", path: ["versioned_notifications_topics"], message });
		}
		const check = (path: readonly string[], ...options: Parameters<typeof rabbitOptions>) => {
			try {
				rabbitOptions(...options);
			} catch (error) {
				if (!(error instanceof InvalidRabbitOptions)) throw error;
				// What is wrong with one option by itself has been told, with its place.
				if (Object.entries(options[0]).some(([option, value]) => problemOfOption(option, value) !== undefined)) return;
				context.addIssue({ code: "custom", path: [...path, "oslo_messaging_rabbit"], message: error.message });
			}
		};
		if (transport_url) check([], section, transport_url.query);
		for (const [cell, { oslo_messaging_rabbit, transport_url }] of Object.entries(shadow)) {
			check(["shadow", cell], { ...section, ...oslo_messaging_rabbit }, transport_url.query);
		}
	});
export type Config = z.infer<typeof Config>;

/**
 * Reads a configuration, of several files the later ones win; what they do not set is as in nova.conf. Throws ConfigError with
 * file:line:column. Paths in a file are relative to it.
 */
export function readConfig(files: string | readonly string[], novaConf?: NovaConf): Config {
	return readConfigWithPlaces(files, novaConf).value;
}

/** The same as `readConfig`, for whoever has more to say about what is in the file. */
export function readConfigWithPlaces(
	files: string | readonly string[],
	novaConf: NovaConf = { oslo_messaging_rabbit: {} },
): Placed<Config> {
	const schema = z.preprocess((written) => overlay(novaConf, written), Config);
	const { value: config, placeOf, fileOf } = readYamlWithPlaces(files, schema, "core");
	const absolute = (path: string, ...option: readonly string[]) => resolve(dirname(fileOf(option)), path);
	const { policy_file, journal, recording, http, agent_tls: tls } = config;
	const value = {
		...config,
		...(policy_file !== undefined && { policy_file: absolute(policy_file, "policy_file") }),
		...(journal && { journal: { ...journal, directory: absolute(journal.directory, "journal", "directory") } }),
		...(recording && { recording: { ...recording, file: absolute(recording.file, "recording", "file") } }),
		...(http?.disable_by_file_path !== undefined && {
			http: { ...http, disable_by_file_path: absolute(http.disable_by_file_path, "http", "disable_by_file_path") },
		}),
		...(tls && {
			agent_tls: {
				ca: absolute(tls.ca, "agent_tls", "ca"),
				cert: absolute(tls.cert, "agent_tls", "cert"),
				key: absolute(tls.key, "agent_tls", "key"),
			},
		}),
	};
	return { value, placeOf, fileOf };
}

function overlay(novaConf: NovaConf, written: unknown): unknown {
	if (!isMapping(written)) return written;
	const { oslo_messaging_rabbit = {} } = written;
	if (!isMapping(oslo_messaging_rabbit)) return written;
	const section = { ...novaConf.oslo_messaging_rabbit, ...oslo_messaging_rabbit };
	return { ...novaConf, ...written, oslo_messaging_rabbit: section };
}
