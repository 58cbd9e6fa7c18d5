"""From a role ('ok', 'dim' …) to a style in the theme at hand."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def role_style(widget: Widget, name: str) -> Style:
    """The style of a component class. A colour that lets the background through is mixed with it;
    where the terminal's own colours are used and can't be mixed, it is dim."""
    style = widget.get_component_rich_style(name, partial=True)
    rules = widget.get_component_styles(name)
    if not rules.has_rule("color") or rules.color.a >= 1:
        return style
    if widget.app.native_ansi_color:
        return style + Style(dim=True)
    behind = widget.background_colors[1]
    return style + Style.from_color((behind + rules.color).rich_color)
