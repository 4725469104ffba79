import { type Command, Option } from "commander";
import { URL_VARIABLE } from "./environment.ts";
import { collect } from "./output-options.ts";

/** How a command is told where the broker is, see `findBus`. */
export function busOptions(command: Command): Command {
	return command
		.addOption(
			new Option(
				"--transport-url <url>",
				`the broker, as in nova.conf; one with a password in the variable ${URL_VARIABLE}`,
			).conflicts(["configFile", "configDir", "novaConf"]),
		)
		.option("--nova-conf <file>", "take the bus from nova.conf, as `serve` does; may be repeated", collect)
		.option("--config-file <file>", "take the bus from a configuration of `serve`; may be repeated", collect)
		.option("--config-dir <dir>", "... from the files *.yaml in it", collect)
		.option("--exchange <name>", "topic exchange, control_exchange of the service (default: nova)");
}
