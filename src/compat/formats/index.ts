import type { Judgement, Pair } from "../pair.ts";
import { baseType } from "./base-type.ts";
import { jsonDescriptor } from "./json-descriptor.ts";
import { migrationVersion } from "./migration-version.ts";
import { softwareVersion } from "./software-version.ts";
import { textBlocks } from "./text-blocks.ts";
import { typeNode } from "./type-node.ts";
import { versionRanges } from "./version-ranges.ts";

/** `covered`: the attributes that a format earlier in the table has judged. */
export type Format = (pair: Pair, covered: ReadonlySet<string>) => Judgement;

/**
 * The formats of the 2020 thread, by the letters it is usually quoted with. A device may carry several; all of them are
 * evaluated. What others make superfluous stands last.
 */
export const FORMATS: readonly Format[] = [
	migrationVersion, // A
	jsonDescriptor, // B, C
	textBlocks, // D, F1-F3
	versionRanges, // E
	baseType, // F4
	typeNode, // G0, G
	softwareVersion, // H
];
