//! Writes random YARA cases for another scanner to judge: `yara_cases FOLDER
//! FIRST COUNT` makes `FOLDER/<seed>.yar` and `FOLDER/<seed>.bin`.
use quahog_testkit::YaraCase;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, first, count] = arguments.as_slice() else {
        println!("usage: yara_cases FOLDER FIRST COUNT");
        return Ok(());
    };
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    for seed in number(first)..number(first) + number(count) {
        let case = YaraCase::from_seed(seed);
        std::fs::write(format!("{folder}/{seed}.yar"), case.text)?;
        std::fs::write(format!("{folder}/{seed}.bin"), case.haystack)?;
    }
    Ok(())
}
