import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_LIBVIRT_CONFIG_DIR, DEFAULT_LIBVIRT_DIR, DEFAULT_OVERLAY_DIR } from "../../agent/places.ts";
import type { TlsFiles } from "../../agent/tls.ts";
import { isLoopback, isSamePlace, type Listen, parseListen } from "../../http/listen.ts";
import { type LogOptions, problemOfFormat } from "../../log/format.ts";
import { problemOfDateFormat } from "../../log/strftime.ts";
import { DEFAULT_DATE_FORMAT } from "../../log/time.ts";
import { HOST_NAME, HOST_NAME_FORM } from "../../snapshot/limits.ts";
import { ConfigError, isMapping, type Placed, quotable, readYamlWithPlaces, type Schema } from "../../yaml.ts";
import type { z } from "../../zod.ts";
import { configFiles } from "../config/files.ts";
import { UsageError } from "../exit-codes.ts";

/** What `novacompat agent` is told; config/README.md describes every option. Names are a contract. */
export interface AgentOptions extends LogOptions {
	readonly host: string;
	readonly listen: Listen;
	readonly metrics_listen?: Listen;
	readonly sysfs_root: string;
	readonly libvirt_dir: string;
	readonly libvirt_config_dir: string;
	readonly overlay_dir: string;
	readonly scan_interval: number;
	readonly tls_cert?: string;
	readonly tls_key?: string;
	readonly tls_client_ca?: string;
	readonly allow_insecure: boolean;
	readonly detailed: boolean;
	readonly debug: boolean;
}

/** How a value is read, from a word of the command line or from YAML. */
interface Kind {
	readonly expected: string;
	/** For the help; a flag has none, because it has no value. */
	readonly placeholder?: string;
	/** Undefined for what is not `expected`. */
	parse(value: unknown): unknown;
	/** What is wrong with such a value, where there is more to say than what was expected. */
	problem?(value: unknown): string | undefined;
}

/** Under another name no service can be told of the agent. */
const HOST: Kind = {
	expected: HOST_NAME_FORM,
	placeholder: "name",
	parse: (value) => (typeof value === "string" && HOST_NAME.test(value) ? value : undefined),
};
/** Whoever writes a key itself in its place shall not find it in a log. */
const PATH: Kind = {
	expected: "a path",
	placeholder: "path",
	parse: (value) => (textOf(value)?.includes("\n") ? undefined : textOf(value)),
};
const FLAG: Kind = {
	expected: "true or false",
	parse: (value) => (typeof value === "boolean" ? value : undefined),
};
const SECONDS: Kind = {
	expected: "seconds from 1 to 3600",
	placeholder: "seconds",
	parse(value) {
		const seconds = typeof value === "string" ? Number(value) : value;
		return typeof seconds === "number" && seconds >= 1 && seconds <= 3600 ? seconds : undefined;
	},
};
const ADDRESS: Kind = { expected: "address:port", placeholder: "address:port", parse: parseListen };
const FORMAT = textWithout("a format string", problemOfFormat);
const DATE_FORMAT = textWithout("a format of a date", problemOfDateFormat);

/** `problem` says what is wrong with a text. */
function textWithout(expected: string, problem: (text: string) => string | undefined): Kind {
	return {
		expected,
		placeholder: "format",
		parse: (value) => (typeof value === "string" && problem(value) === undefined ? value : undefined),
		problem: (value) => (typeof value === "string" ? problem(value) : undefined),
	};
}

/** Keys of the configuration file; a flag is called the same with `-` for `_`, and goes before the file. */
const OPTIONS: Readonly<Record<keyof AgentOptions, { kind: Kind; help: string; default?: () => string | number }>> = {
	host: { kind: HOST, help: "host name as nova-compute has it in [DEFAULT]host", default: hostname },
	listen: { kind: ADDRESS, help: "where to listen; port 0 takes a free one", default: () => "127.0.0.1:9301" },
	metrics_listen: { kind: ADDRESS, help: "where to serve /metrics and the health too, in plain HTTP" },
	sysfs_root: { kind: PATH, help: "where sysfs is mounted", default: () => "/sys" },
	libvirt_dir: {
		kind: PATH,
		help: "where libvirt keeps the XML of running domains",
		default: () => DEFAULT_LIBVIRT_DIR,
	},
	libvirt_config_dir: {
		kind: PATH,
		help: "where it keeps the XML of all domains that are defined",
		default: () => DEFAULT_LIBVIRT_CONFIG_DIR,
	},
	overlay_dir: { kind: PATH, help: "what operators and vendors add, *.yaml", default: () => DEFAULT_OVERLAY_DIR },
	scan_interval: { kind: SECONDS, help: "from the start of a scan to the start of the next", default: () => 10 },
	tls_cert: { kind: PATH, help: "certificate in PEM, with the host name as a DNS name" },
	tls_key: { kind: PATH, help: "its key in PEM, which nobody else may read" },
	tls_client_ca: { kind: PATH, help: "authorities in PEM that the certificates of clients must be from" },
	allow_insecure: { kind: FLAG, help: "allow plain HTTP where others can reach it" },
	detailed: { kind: FLAG, help: "/healthcheck says in JSON how it stands with scans and certificate" },
	debug: { kind: FLAG, help: "log every request" },
	use_json: { kind: FLAG, help: "log lines of JSON, as oslo.log's JSONFormatter writes them" },
	logging_context_format_string: { kind: FORMAT, help: "form of a line about a request, as in oslo.log" },
	logging_default_format_string: { kind: FORMAT, help: "form of any other line" },
	log_date_format: { kind: DATE_FORMAT, help: "form of its date and time", default: () => DEFAULT_DATE_FORMAT },
};
export const AGENT_OPTIONS = Object.keys(OPTIONS) as readonly (keyof AgentOptions)[];

type Given = Readonly<Record<string, unknown>>;

/**
 * Reads the words behind `novacompat agent`, which may ask for something else.
 * @throws {UsageError} | {ConfigError} that name the option, its value and what was expected
 */
export function readAgentOptions(words: readonly string[]): AgentOptions | "help" | "version" {
	const values = parseWords(words);
	if (values["help"]) return "help";
	if (values["version"]) return "version";
	const files = filesOf(values);
	const written = files.length === 0 ? {} : readFiles(files).value;
	const flags = AGENT_OPTIONS.filter((name) => values[flagOf(name)] !== undefined).map((name) => {
		const value = values[flagOf(name)];
		const option = OPTIONS[name].kind.parse(value);
		if (option !== undefined) return [name, option];
		throw new UsageError(
			`--${flagOf(name)} is ${quotable(JSON.stringify(value))}, ${problemOf(OPTIONS[name].kind, value)}`,
		);
	});
	return named({ ...defaults(), ...written, ...Object.fromEntries(flags) });
}

/** What files say alone, with the place of each option. Throws ConfigError. */
export function readAgentFiles(
	files: readonly string[],
): { readonly options: AgentOptions } & Pick<Placed<Given>, "placeOf"> {
	const { value, placeOf } = readFiles(files);
	return { options: named({ ...defaults(), ...value }), placeOf };
}

/** The name of the machine is the default, whatever it is. */
function named(options: Partial<AgentOptions> & Omit<AgentOptions, "host">): AgentOptions {
	const { host } = options;
	if (host !== undefined) return { ...options, host };
	throw new ConfigError(
		`the name of this machine is ${JSON.stringify(hostname())}, expected ${HOST_NAME_FORM}; give host, as nova-compute has it in [DEFAULT]host`,
	);
}

function defaults(): AgentOptions {
	const preset = AGENT_OPTIONS.map((name) => [name, OPTIONS[name].kind.parse(OPTIONS[name].default?.() ?? false)]);
	return Object.fromEntries(preset);
}

/** Undefined for plain HTTP, which is only for this machine unless the operator says that he means it. */
export function tlsFilesOf(options: AgentOptions): TlsFiles | undefined {
	const { tls_cert: certificate, tls_key: key, tls_client_ca: clientCa, listen, allow_insecure } = options;
	if (certificate !== undefined && key !== undefined && clientCa !== undefined) return { certificate, key, clientCa };
	if (certificate !== undefined || key !== undefined || clientCa !== undefined) {
		throw new UsageError("tls_cert, tls_key and tls_client_ca are only used together");
	}
	if (isLoopback(listen.address) || allow_insecure) return undefined;
	throw new UsageError(
		`listen is ${listen.address}, which others can reach: expected tls_cert, tls_key and tls_client_ca, or allow_insecure`,
	);
}

/** Paths of the files that these words name, as they are now. Throws ConfigError. */
export function agentConfigFiles(words: readonly string[]): readonly string[] {
	return filesOf(parseWords(words));
}

/** Where the second server of an agent listens. Throws UsageError for what the first one has taken. */
export function metricsListenOf({ listen, metrics_listen: metrics }: AgentOptions): Listen | undefined {
	if (metrics === undefined || !isSamePlace(metrics, listen)) return metrics;
	throw new UsageError(
		`metrics_listen is ${textOfListen(metrics)}, where listen is too (${textOfListen(listen)}): expected another port`,
	);
}

function textOfListen({ address, port }: Listen): string {
	return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function filesOf(values: Words): readonly string[] {
	return configFiles({ configFile: values["config-file"] ?? [], configDir: values["config-dir"] ?? [] });
}

const AFTER_HELP = `SIGHUP reads the configuration again, SIGUSR2 writes a report of its state to the log.
Exit codes: 0 stopped, 64 usage, 70 crashed, 78 configuration, 130 and 143 ended at once by a second SIGINT or SIGTERM,
255 bug at the start.
`;

export function agentHelp(): string {
	const rows = AGENT_OPTIONS.map((name) => {
		const { kind, help, default: standard } = OPTIONS[name];
		const value = kind.placeholder ? ` <${kind.placeholder}>` : "";
		// Not this machine's: man pages are made of it.
		const shown = standard === hostname ? "the machine's host name" : standard?.();
		return [`--${flagOf(name)}${value}`, shown === undefined ? help : `${help} (default: ${shown})`];
	});
	const named = [
		["--config-file <path>", "the same options as YAML; may be repeated, the last one wins"],
		["--config-dir <path>", "... all *.yaml in it, after the files; may be repeated"],
		["--version", "print the version of novacompat"],
	];
	const width = Math.max(...rows.map(([flag = ""]) => flag.length));
	const lines = [...named, ...rows].map(([flag = "", help]) => `  ${flag.padEnd(width)}  ${help}\n`);
	return `Usage: novacompat agent [options]\n\nserve the snapshot of this compute node over HTTPS\n\nOptions:\n${lines.join("")}\n${AFTER_HELP}`;
}

interface Words {
	readonly "config-file"?: readonly string[];
	readonly "config-dir"?: readonly string[];
	readonly [flag: string]: unknown;
}

function parseWords(words: readonly string[]): Words {
	const flags = AGENT_OPTIONS.map((name) => {
		const type = OPTIONS[name].kind.placeholder ? ("string" as const) : ("boolean" as const);
		return [flagOf(name), { type }] as const;
	});
	const named = { type: "string", multiple: true } as const;
	const help = { type: "boolean", short: "h" } as const;
	const version = { type: "boolean", short: "V" } as const;
	const others = { "config-file": named, "config-dir": named, help, version };
	try {
		return parseArgs({ args: [...words], options: { ...Object.fromEntries(flags), ...others } }).values;
	} catch (cause) {
		throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
	}
}

/** Paths in a file are relative to it. */
function readFiles(files: readonly string[]): Placed<Given> {
	const { value: written, placeOf, fileOf } = readYamlWithPlaces(files, FILE, "core");
	const value = Object.fromEntries(
		Object.entries(written).map(([name, value]) => {
			const isPath = isOption(name) && OPTIONS[name].kind === PATH;
			return [name, isPath ? resolve(dirname(fileOf([name])), String(value)) : value];
		}),
	);
	return { value, placeOf, fileOf };
}

const FILE: Schema<Given> = {
	safeParse(document) {
		if (!isMapping(document)) {
			const issue = { code: "custom" as const, path: [], message: "expected a mapping of options" };
			return { success: false, error: { issues: [issue] } };
		}
		const data: Record<string, unknown> = {};
		const issues: z.core.$ZodIssue[] = [];
		for (const [name, value] of Object.entries(document)) {
			if (!isOption(name)) {
				issues.push({ code: "unrecognized_keys", keys: [name], path: [], message: Object.keys(OPTIONS).join(" ") });
				continue;
			}
			const { kind } = OPTIONS[name];
			data[name] = kind.parse(value);
			if (data[name] !== undefined) continue;
			issues.push({ code: "invalid_value", values: [], path: [name], message: problemOf(kind, value) });
		}
		return issues.length > 0 ? { success: false, error: { issues } } : { success: true, data };
	},
};

function problemOf({ expected, problem }: Kind, value: unknown): string {
	return problem?.(value) ?? `expected ${expected}`;
}

function isOption(name: string): name is keyof AgentOptions {
	return Object.hasOwn(OPTIONS, name);
}

function flagOf(name: string): string {
	return name.replaceAll("_", "-");
}

function textOf(value: unknown): string | undefined {
	return typeof value === "string" && value !== "" ? value : undefined;
}
