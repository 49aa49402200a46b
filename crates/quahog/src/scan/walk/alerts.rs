//! What a layer is reported for beside signatures: links, damage, encryption.

use std::ops::ControlFlow;

use quahog_content::damage::{self, Picture};
use quahog_content::text::links;
use quahog_engine::{Interrupted, Layer, Link, LinkKind, LinkOptions, exe};
use quahog_sig::model::FileType;

use super::{BudgetMeter, Walk, keep};
use crate::scan::report::Detection;

impl Walk<'_> {
    /// Has the engine look at the links of a text of a message.
    pub(super) fn links(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let options = LinkOptions {
            ssl: self.settings.alert_phishing_ssl,
            cloak: self.settings.alert_phishing_cloak,
        };
        if !self.engine.has_links() && options == LinkOptions::default() {
            return ControlFlow::Continue(());
        }
        let meter = BudgetMeter::new(self.budget);
        let (mut alerts, mut interrupted) = (Vec::new(), false);
        let shortfall = links::links(layer.bytes(), self.budget, &mut |link| {
            let kind = if link.is_text { LinkKind::Text } else { LinkKind::Other };
            let link = Link { real: link.real, shown: link.shown, kind };
            match self.engine.check_link(&link, options, &meter) {
                Ok(None) => return ControlFlow::Continue(()),
                Ok(Some(alert)) if alerts.contains(&alert) => return ControlFlow::Continue(()),
                Ok(Some(alert)) => alerts.push(alert),
                Err(Interrupted) => interrupted = true,
            }
            // ClamAV reports the first of a text.
            if interrupted || !self.settings.all_matches {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if !alerts.is_empty() && !self.engine.allows(layer) {
            for alert in alerts {
                self.heuristic(alert.name(), "links")?;
            }
        }
        if let Some(shortfall) = shortfall {
            self.missing(shortfall);
        }
        if interrupted { self.interrupted() } else { ControlFlow::Continue(()) }
    }

    /// Reports that an executable or the frame of a picture is broken, if that
    /// is asked for.
    pub(super) fn damage(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let program = match layer.file_type() {
            FileType::MSEXE => self.settings.pe,
            FileType::ELF => self.settings.elf,
            FileType::MACHO | FileType::MACHO_UNIBIN => true,
            _ => false,
        };
        if program
            && self.settings.alert_broken_executables
            && exe::is_damaged(layer.headers(), layer.bytes(), layer.file_type())
            && !self.engine.allows(layer)
        {
            return self.heuristic("Heuristics.Broken.Executable", "raw");
        }
        if !self.settings.alert_broken_media || !self.settings.images {
            return ControlFlow::Continue(());
        }
        let picture = match layer.file_type() {
            FileType::GIF => Picture::Gif,
            FileType::JPEG => Picture::Jpeg,
            FileType::PNG => Picture::Png,
            FileType::TIFF => Picture::Tiff,
            _ => return ControlFlow::Continue(()),
        };
        match damage::of_picture(picture, layer.bytes(), self.budget) {
            Ok(Some(fault)) if !self.engine.allows(layer) => {
                self.heuristic(&format!("Heuristics.Broken.Media.{fault}"), "raw")
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(shortfall) => {
                self.missing(shortfall);
                ControlFlow::Break(())
            }
        }
    }

    /// Reports that there is something encrypted in a layer, if that is asked
    /// for.
    pub(super) fn encrypted(&mut self, layer: &Layer<'_>) -> ControlFlow<()> {
        let name = match layer.file_type() {
            file_type if file_type.is_office() => "Heuristics.Encrypted.Zip",
            FileType::ZIP | FileType::ZIPSFX => "Heuristics.Encrypted.Zip",
            FileType::RAR | FileType::RARSFX => "Heuristics.Encrypted.RAR",
            FileType::SEVENZ | FileType::SEVENZSFX => "Heuristics.Encrypted.7Zip",
            FileType::EGG | FileType::EGGSFX => "Heuristics.Encrypted.EGG",
            FileType::PDF => "Heuristics.Encrypted.PDF",
            FileType::MSOLE2 => "Heuristics.Encrypted.OLE2",
            _ => return ControlFlow::Continue(()),
        };
        let document = matches!(layer.file_type(), FileType::PDF | FileType::MSOLE2);
        let asked = match document {
            true => self.settings.alert_encrypted_documents,
            false => self.settings.alert_encrypted_archives,
        };
        if !asked || self.engine.allows(layer) {
            return ControlFlow::Continue(());
        }
        self.heuristic(name, "entry")
    }

    /// Notes a detection that no signature stands for.
    pub(super) fn heuristic(&mut self, name: &str, view: &'static str) -> ControlFlow<()> {
        let detection = Detection {
            name: name.to_owned(),
            object: self.object(),
            view,
            offset: None,
            length: None,
            source: String::new(),
            line: 0,
            weak: true,
        };
        if !self.settings.heuristic_precedence {
            keep(&mut self.weak, detection);
            return ControlFlow::Continue(());
        }
        keep(&mut self.findings.detections, detection);
        if self.settings.all_matches { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
