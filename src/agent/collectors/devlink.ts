import type { Reading } from "../reading.ts";
import { commandOf, handlesOf, objectOf, type QuestionName, questionAbout, textOf } from "../tools.ts";
import type { Draft, Host } from "./collector.ts";

/** What is told of a version: whether it is of what runs or of the board, and its names, which differ from driver to driver. */
export interface VersionName {
	readonly attribute: string;
	readonly section: "running" | "fixed";
	readonly keys: readonly string[];
}

/** mlx5 calls it `fw.version` (Documentation/networking/devlink/mlx5.rst), pds_core `fw` (drivers/net/ethernet/amd/pds_core/devlink.c). */
export const FIRMWARE: VersionName = { attribute: "fw_version", section: "running", keys: ["fw.version", "fw"] };

/** What `devlink dev info` says, by handle. */
type Info = ReturnType<typeof handlesOf>;

/** Adds what it says of the PF that a VF belongs to. */
export function devlinkVersions({ told }: Host, names: readonly VersionName[]): (device: Draft) => void {
	const known = new Map<QuestionName, Info>();
	function infoFor(question: QuestionName): Info {
		const info = known.has(question) ? known.get(question) : handlesOf(told, question, "info");
		known.set(question, info);
		return info;
	}
	return ({ parent, found }) => {
		if (parent === undefined) return;
		const question = questionAbout(told, "devlink dev info", parent);
		const info = infoFor(question);
		for (const name of names) found.record(name.attribute, versionOf(parent, info, name), commandOf(question));
	};
}

function versionOf(pf: string, info: Info, { section, keys }: VersionName): Reading {
	if (info === undefined || "errno" in info) return info;
	const versions = objectOf(objectOf(info.get(`pci/${pf}`)?.["versions"])?.[section]);
	const version = textOf(keys.map((key) => versions?.[key]).find((value) => value !== undefined));
	return version === undefined ? undefined : { value: version };
}
