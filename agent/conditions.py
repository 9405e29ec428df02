"""A rule's condition in words: "di atas 80 % (Peringatan), di atas 90 % (KRITIS), selama 5 menit"."""

from agent.wording import wording
from alerts.figures import show
from alerts.rule import Rule
from alerts.text import fill

SEVERITIES = ("warning", "critical")


def condition(rule: Rule, language: str) -> str:
    """When the rule finds a problem, in that language."""
    words = wording(language)
    metric = "_seconds" if rule.kind in ("forecast", "absent") else rule.metric
    parts = []
    for severity in SEVERITIES:
        threshold = rule.threshold(severity)
        if threshold is not None:
            says = fill(words.conditions[rule.kind], {
                "threshold": show(metric, threshold, language),
                "window": show("_seconds", rule.window, language),
                "limit": "" if rule.limit is None else show(rule.metric, rule.limit, language),
            })
            parts.append(f"{says} ({words.severities[severity]})")
    if rule.hold:
        parts.append(fill(words.when_held, {"hold": show("_seconds", rule.hold, language)}))
    parts += [fill(words.only_where, {"label": label, "patterns": " ".join(patterns)})
              for label, patterns in rule.where.items()]
    return ", ".join(parts)
