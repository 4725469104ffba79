import type { Reading } from "../reading.ts";
import { commandOf, handlesOf, objectOf, textOf } from "../tools.ts";
import type { Draft, Host } from "./collector.ts";

/** What is told of a version: whether it is of what runs or of the board, and its names, which differ from driver to driver. */
export interface VersionName {
	readonly attribute: string;
	readonly section: "running" | "fixed";
	readonly keys: readonly string[];
}

/** mlx5 calls it `fw.version` (Documentation/networking/devlink/mlx5.rst), pds_core `fw` (drivers/net/ethernet/amd/pds_core/devlink.c). */
export const FIRMWARE: VersionName = { attribute: "fw_version", section: "running", keys: ["fw.version", "fw"] };

/** Adds what `devlink dev info` says of the PF that a VF belongs to. */
export function devlinkVersions({ told }: Host, names: readonly VersionName[]): (device: Draft) => void {
	const info = handlesOf(told, "devlink dev info", "info");
	const source = commandOf("devlink dev info");
	function versionOf(pf: string, { section, keys }: VersionName): Reading {
		if (info === undefined || "errno" in info) return info;
		const versions = objectOf(objectOf(info.get(`pci/${pf}`)?.["versions"])?.[section]);
		const version = textOf(keys.map((key) => versions?.[key]).find((value) => value !== undefined));
		return version === undefined ? undefined : { value: version };
	}
	return ({ parent, found }) => {
		if (parent === undefined) return;
		for (const name of names) found.record(name.attribute, versionOf(parent, name), source);
	};
}
