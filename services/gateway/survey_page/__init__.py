"""The public page behind a survey link: plain HTML that old phones show, without scripts."""
