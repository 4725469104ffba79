import { statSync } from "node:fs";
import { type Config, readConfigWithPlaces } from "../config.ts";
import { readNovaConf } from "../nova-conf.ts";
import { lintPolicy } from "../policy/lint.ts";
import { InvalidTlsFiles, TlsMaterial } from "../snapshot/agent-tls.ts";
import { ConfigError, type Placed } from "../yaml.ts";
import { checkBrokerTls } from "./broker-tls.ts";
import { type ConfigFileOptions, configFiles } from "./config-files.ts";
import { lintConfig } from "./config-lint.ts";
import { EXIT, UsageError } from "./exit-codes.ts";

/**
 * Says what is odd or unsafe about a configuration of `serve`, its policy and its certificates, and opens no connection; what
 * `serve` would not start with is a ConfigError here too.
 */
export function configCheck(
	named: readonly string[],
	{ configDir = [], novaConf }: Pick<ConfigFileOptions, "configDir"> & { readonly novaConf: readonly string[] },
): number {
	const files = configFiles({ configFile: named, configDir });
	if (files.length === 0) throw new UsageError("which configuration? expected a file or --config-dir");
	const { value: config, placeOf } = readConfigWithPlaces(files, readNovaConf(novaConf));
	checkAgentTls(config, placeOf);
	checkBrokerTls(config, placeOf);
	const warnings = [
		...files.flatMap(readableByOthers),
		...lintConfig(config).map(({ path, message }) => `${placeOf(path)}: ${message}`),
		...(config.policy_file === undefined ? [] : lintPolicy(config.policy_file, Date.now())),
	];
	for (const warning of warnings) process.stdout.write(`${warning}\n`);
	if (warnings.length > 0) return EXIT.warnings;
	process.stdout.write(`${files.join(", ")}: ok\n`);
	return EXIT.accept;
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

/** The password of the broker is in it. */
function readableByOthers(file: string): readonly string[] {
	const mode = statSync(file).mode & 0o777;
	if ((mode & 0o007) === 0) return [];
	const written = mode.toString(8).padStart(4, "0");
	return [`${file}:1:1: the file has mode ${written}, expected 0640 or 0600: the password of the broker is in it`];
}
