"""How the page looks: system fonts, quiet colours, nothing loaded from elsewhere."""

import gradio as gr

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

CSS = """
.gradio-container { width: 100%; max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container .fillable { width: 100%; max-width: 100% !important; }
#head h1 { font-size: 1.6rem; margin: 0.2rem 0 0.1rem; letter-spacing: -0.01em; }
#head p { color: var(--body-text-color-subdued); margin: 0; }
.waiting {
  display: grid; place-content: center; text-align: center; min-height: 22rem; padding: 2rem;
  border: 1px dashed var(--border-color-primary); border-radius: var(--radius-lg);
  color: var(--body-text-color-subdued);
}
.waiting strong { color: var(--body-text-color); font-weight: 600; display: block; }
.waiting ol { margin: 0.5rem auto 0; padding-left: 1.2rem; text-align: left; }
.html-container { padding: 0 !important; }
/* Gradio's cutting tool loads a program from another host. */
#clip button[aria-label^="Trim"] { display: none; }
.dark { --color-accent: var(--primary-400); }
ul.notes { margin: 0; padding-left: 1.2rem; }
ul.notes li { margin: 0.15rem 0; }
p.facts { margin: 0.2rem 0 0; color: var(--body-text-color-subdued); }
p.good { margin: 0; }
figure.live { margin: 0; }
figure.live img { width: 100%; border-radius: var(--radius-lg); display: block; }
figure.live figcaption { margin-top: 0.5rem; font-variant-numeric: tabular-nums; }
#examples .gallery { gap: var(--spacing-md); }
:focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 2px; }
@media (max-width: 640px) {
  .waiting { min-height: 9rem; padding: 1rem; }
  #frame, #plate { height: 170px !important; }
}
"""


def make_theme() -> gr.themes.Base:
    """The theme, for light and dark; text has a contrast of 4.5 to 1 and more (WCAG 2.2, AA)."""
    theme = gr.themes.Default(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=_FONT, font_mono=_MONO
    )
    return theme.set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
    )
