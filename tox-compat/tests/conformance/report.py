"""The tables of ../../README.md: what was measured, as text that is the same in every run."""

import json
import re

import rig

README = rig.REPOSITORY / "tox-compat" / "README.md"
WIDTH = 90


def of_request(seen):
    """What a server made of a request, in a few words."""
    times = {0: "not executed", 1: "executed", 2: "executed twice"}[seen["executed"]]
    answers = ", ".join(_answer(answer) for answer in seen["answers"])
    if seen["settled"] != "acked":
        words = [seen["settled"], *([times] if seen["executed"] else []), answers]
    elif not answers:
        words = [f"{times}, no answer"]
    else:
        words = [*([times] if seen["executed"] > 1 else []), answers]
    if seen["heartbeats"]:
        words.insert(0, f"{seen['heartbeats']} heartbeat{'s' * (seen['heartbeats'] > 1)}")
    if seen["heartbeats after the answer"]:
        words.append("and heartbeats go on")
    return ", ".join(word for word in words if word)


def _answer(answer):
    failure = answer.get("failure")
    if failure is None:
        return _value(answer["result"]) if "result" in answer else "an answer without result"
    return _code(f"{failure['class']}: {failure['message']}")


def of_reply(outcome):
    """What a client made of a reply, in a few words."""
    if outcome["kind"] == "value":
        return _value(outcome["value"])
    if outcome["kind"] == "failure":
        return "RemoteError " + _code(f"{outcome['class']}: {outcome['message']}")
    return "timeout" if outcome["kind"] == "timeout" else f"crash: {outcome['class']}"


def _value(value):
    return _code(json.dumps(value, sort_keys=True))


def _code(text):
    text = text.replace("\n", " ").replace("|", "\\|").replace("`", "'")
    return f"`{text if len(text) <= WIDTH else text[:WIDTH] + '…'}`"


def row(name, python, ours, rules):
    name = re.sub(r"([\\`*_<>\[\]|])", r"\\\1", name)
    cell = "same" if python == ours else ours
    # Said only where the reader sees a difference that needs it.
    why = ", ".join(rule.name for rule in rules if not rule.silent)
    return f"| {name} | {python} | {cell} | {why} |"


def tables(title, groups):
    """{section: rows} as Markdown, a table for each section."""
    lines = []
    for section, rows in groups.items():
        if rows:
            lines += ["", f"#### {title}: {section}", "", "| | Python | Ours | Rule |", "|---|---|---|---|", *rows]
    return lines


def rule_list(rules):
    unique = {rule.name: rule for rule in rules}
    return "\n".join(["", *(f"- **{rule.name}**: {rule.why}" for rule in unique.values()), ""])


def markers(name):
    return f"<!-- conformance: {name} -->", f"<!-- end of conformance: {name} -->"


def committed(name):
    """The text between the markers, or None when the README has none."""
    begin, end = map(re.escape, markers(name))
    found = re.search(f"{begin}\n(.*?){end}", README.read_text(), re.DOTALL)
    return found.group(1) if found else None


def write(name, text):
    begin, end = markers(name)
    whole = README.read_text()
    block = f"{begin}\n{text}{end}"
    if committed(name) is None:
        README.write_text(f"{whole.rstrip()}\n\n{block}\n")
    else:
        README.write_text(re.sub(f"{re.escape(begin)}\n.*?{re.escape(end)}", lambda _: block, whole, flags=re.DOTALL))


def only_new(lines, known):
    """The rows that another version's section does not have, under their headings."""
    known = set(known.splitlines())
    return [line for line in lines if line not in known]
