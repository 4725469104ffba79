import fc from "fast-check";
import { test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

/** `npm run test:fuzz` tries a million. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 3_000);

/** Attributes of every format and rule, and names that JavaScript has plans for. */
const NAMES = [
	...[
		"migration_version",
		"migration_compatible",
		"migration/self",
		"migration/compatible",
		"migration/self/a",
		"migration/compatible1/a",
	],
	...[
		"software_version",
		"interface_version",
		"interface_version_compatible",
		"pv_mode_compatible",
		"base_type",
		"aggregation_ratio",
	],
	...[
		"compatible_pci_ids",
		"compatible_type",
		"dynamic_resources",
		"aggregator",
		"pv_mode",
		"uevent",
		"driver",
		"vendor",
		"device",
	],
	...["a", "mdev_type", "device_api", "__proto__", "constructor", "toString"],
];

const VALID = [
	'SELF:\n\ta=1\n\tpv_mode="x"\nCOMPATIBLE:\n\ta={v:int:1,2}\n\tb={v}/2\n\tpv_mode={w:string:"x","y"} # c\n',
	"mdev_type=i915-GVTg_V5_{val1:int:1,2,4,8}\naggregator={val1}/2",
	'{"self":[{"a":"1"}],"compatible":[{"a":"1"},{"a":"2"}]}',
	'[{"device_api":"vfio-pci","vendor":"i915","version":{"major":0,"minor":1},"mdev_attrs":[{"a":1}],"vendor_fields":[{"k":"v"}]}]',
	"2.0.2-2.0.4,2.1.0-",
	"2.1.3",
	"5931, 591b",
	"aggregator",
	"DRIVER=vfio-pci\nPCI_ID=8086:591D",
	"0x1f",
	"nvidia",
	"vfio-pci",
];

const pieces = fc.constantFrom(
	...'{}[]:,"#=/\\-.\n\t 0129ax\u0000\u00e9',
	"SELF:",
	"COMPATIBLE:",
	"{v}",
	"99999999999999999999",
);
/** A valid text with something cut out of it and something put in its place. */
const mutated = fc
	.tuple(fc.constantFrom(...VALID), fc.nat(200), fc.nat(5), fc.array(pieces, { maxLength: 3 }))
	.map(([text, at, cut, put]) => text.slice(0, at % text.length) + put.join("") + text.slice((at % text.length) + cut));
const attributes = fc.dictionary(
	fc.constantFrom(...NAMES),
	fc.oneof(mutated, mutated, fc.constantFrom(...VALID), fc.string()),
	{ maxKeys: 6 },
);
const policies = fc.record({
	direction: fc.constantFrom("target-accepts", "source-declares", "both"),
	compatible_type: fc.constantFrom("ignore", "allow"),
	other_attributes: fc.constantFrom("warn", "equal", "ignore"),
});

test(`no random or mutated attribute makes a decision throw (${RUNS} runs)`, { timeout: 3_600_000 }, () => {
	fc.assert(
		fc.property(attributes, attributes, policies, fc.constantFrom("mdev", "pci"), (source, target, policy, kind) => {
			decide({
				source_host: "a",
				target_host: "b",
				devices: [mdev("s", {}, { kind, attributes: source })],
				candidates: [mdev("t", {}, { kind, attributes: target })],
				policy: { ...DEFAULT_POLICY, ...policy },
			});
		}),
		{ numRuns: RUNS },
	);
});
