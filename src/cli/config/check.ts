import { statSync } from "node:fs";
import { type Config, readConfigWithPlaces } from "../../config.ts";
import { readNovaConf } from "../../nova-conf.ts";
import { lintPolicy } from "../../policy/lint.ts";
import { InvalidTlsFiles, TlsMaterial } from "../../snapshot/agent-tls.ts";
import { ConfigError, type Placed } from "../../yaml.ts";
import { lintAgent } from "../agent/check.ts";
import { AGENT_OPTIONS } from "../agent/options.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { checkBrokerTls } from "./broker-tls.ts";
import { invalidCertificates } from "./certificates.ts";
import { type ConfigFileOptions, configFiles } from "./files.ts";
import { lintConfig } from "./lint.ts";

export interface ConfigCheckOptions extends Pick<ConfigFileOptions, "configDir"> {
	readonly novaConf: readonly string[];
	/** It is a configuration of the agent. */
	readonly agent?: boolean;
}

/**
 * Says what is odd or unsafe about a configuration of `serve` or of the agent, with all that it names, and opens no connection; what the
 * program would not start with is a ConfigError here too.
 */
export async function configCheck(
	named: readonly string[],
	{ configDir = [], novaConf, agent = false }: ConfigCheckOptions,
): Promise<number> {
	const files = configFiles({ configFile: named, configDir });
	if (files.length === 0) throw new UsageError("which configuration? expected a file or --config-dir");
	if (agent && novaConf.length > 0)
		throw new UsageError("--nova-conf is for a configuration of serve: the agent has no bus");
	const warnings = agent ? await lintAgent(files) : lintServe(files, novaConf);
	for (const warning of warnings) process.stdout.write(`${warning}\n`);
	if (warnings.length > 0) return EXIT.warnings;
	process.stdout.write(`${files.join(", ")}: ok\n`);
	return EXIT.accept;
}

function lintServe(files: readonly string[], novaConf: readonly string[]): readonly string[] {
	const { value: config, placeOf } = hinted(() => readConfigWithPlaces(files, readNovaConf(novaConf)));
	checkAgentTls(config, placeOf);
	checkBrokerTls(config, placeOf);
	return [
		...files.flatMap(readableByOthers),
		...[...lintConfig(config), ...invalidCertificates(config, Date.now())].map(
			({ path, message }) => `${placeOf(path)}: ${message}`,
		),
		...(config.policy_file === undefined ? [] : lintPolicy(config.policy_file, Date.now())),
	];
}

/** Both programs are configured in YAML: options of the other one are no mistake of spelling. */
function hinted<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (!(error instanceof ConfigError)) throw error;
		const unknown = [...error.message.matchAll(/: unknown option "(\w+)"/g)].map(([, name = ""]) => name);
		const [ofAgent] = unknown.filter((name) => (AGENT_OPTIONS as readonly string[]).includes(name));
		if (ofAgent === undefined) throw error;
		throw new ConfigError(`${error.message}\n${ofAgent} is an option of the agent: expected --agent?`, {
			cause: error,
		});
	}
}

function checkAgentTls({ agent_tls }: Config, placeOf: Placed<Config>["placeOf"]): void {
	if (!agent_tls) return;
	try {
		new TlsMaterial(agent_tls, () => undefined);
	} catch (error) {
		if (!(error instanceof InvalidTlsFiles)) throw error;
		throw new ConfigError(`${placeOf(["agent_tls"])}: ${error.message}`, { cause: error });
	}
}

function readableByOthers(file: string): readonly string[] {
	const mode = statSync(file).mode & 0o777;
	if ((mode & 0o007) === 0) return [];
	const written = mode.toString(8).padStart(4, "0");
	return [`${file}:1:1: the file has mode ${written}, expected 0640 or 0600: passwords of brokers stand in it`];
}
