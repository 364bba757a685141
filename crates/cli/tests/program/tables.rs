//! Tables: kinds of columns, samples as tables, imputation, conditions, evaluation.

use std::{fmt::Write as _, fs, path::Path};

use crate::support::{fails, pfgm, refuses, succeeds, temporary};

/// A semicolon table with decimal commas: a skewed price, a count that grows with it, a category, a date, missing cells, a constant.
fn shop(rows: u32) -> String {
    let mut text = String::from("price;visits;city;member;since;currency\n");
    for row in 0..rows {
        let at = f64::from(row * 37 % 101) / 100.0;
        let price = format!("{:.2}", (3.0 * at).exp()).replace('.', ",");
        let visits = if row % 6 == 2 { String::new() } else { format!("{}", (20.0 * at) as u32 + row % 3) };
        let city = ["Bern", "Oslo", "Rome"][(row % 3) as usize];
        let _ = writeln!(
            text,
            "{price};{visits};{city};{};{:02}.03.20{:02};EUR",
            if at > 0.5 { "yes" } else { "no" },
            1 + row % 28,
            10 + row % 13
        );
    }
    text
}

fn trained(here: &Path, more: &[&str]) -> String {
    fs::write(here.join("shop.csv"), shop(120)).unwrap();
    let arguments = [
        "train",
        "shop.csv",
        "--out",
        "run",
        "--set",
        "train.steps=60",
        "--set",
        "train.batch=32",
        "--set",
        "network.width=32",
    ];
    succeeds(here, &[&arguments[..], more].concat())
}

fn cells(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect()
}

#[test]
fn a_table_comes_back_as_a_table() {
    let dir = temporary();
    let here = dir.path();
    trained(here, &[]);
    // No file is needed any more.
    fs::remove_file(here.join("shop.csv")).unwrap();
    succeeds(here, &["sample", "run", "-n", "200", "--steps", "8", "--csv", "s.csv"]);
    let drawn = cells(&here.join("s.csv"));
    assert_eq!((drawn.len(), drawn[0].join(";")), (201, "price;visits;city;member;since;currency".to_owned()));
    let missing = drawn[1..].iter().filter(|row| row[1].is_empty()).count();
    for row in &drawn[1..] {
        let price: f64 = row[0].replace(',', ".").parse().unwrap();
        assert!(price > 0.0 && row[0].split_once(',').is_some_and(|(_, digits)| digits.len() == 2), "{row:?}");
        assert!(row[1].is_empty() || row[1].parse::<u32>().is_ok(), "{row:?}");
        assert!(["Bern", "Oslo", "Rome"].contains(&row[2].as_str()) && ["yes", "no"].contains(&row[3].as_str()));
        assert!(row[4].len() == 10 && row[4].as_bytes()[2] == b'.' && row[5] == "EUR", "{row:?}");
    }
    // A sixth of the training cells are missing.
    assert!((5..100).contains(&missing), "{missing}");
    succeeds(here, &["sample", "run", "-n", "200", "--steps", "8", "--csv", "full.csv", "--no-missing"]);
    assert!(cells(&here.join("full.csv")).iter().all(|row| !row[1].is_empty()));
    // The same reader reads it, with the same kinds.
    let said = succeeds(here, &["data", "full.csv", "-o", "sheet.png", "--json", "d.json"]);
    for line in [
        "price: positive (logarithm)",
        "visits: count",
        "city: category of 3",
        "since: date as dd.mm.yyyy",
        "currency: constant EUR",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(here.join("d.json")).unwrap()).unwrap();
    assert_eq!(json["columns"][2]["levels"].as_array().map(Vec::len), Some(3));
    let said = succeeds(
        here,
        &["likelihood", "run", "--data", "full.csv", "-n", "3", "--steps", "4", "--solver", "heun", "-o", "l.png"],
    );
    assert!(said.contains("3 rows"), "{said}");
}

#[test]
fn kinds_are_set_by_flag_and_file_and_last() {
    let dir = temporary();
    let here = dir.path();
    let said = trained(here, &["--kind", "visits=integer", "--kind", "city=drop"]);
    assert!(said.contains("column city is not used: its kind is drop"), "{said}");
    let config = fs::read_to_string(here.join("run/config.toml")).unwrap();
    assert!(config.contains("visits = \"integer\"") && config.contains("city = \"drop\""), "{config}");
    let said = succeeds(here, &["train", "run", "--resume", "--set", "train.steps=61"]);
    assert!(said.contains("trained after 61 of 61 steps"), "{said}");
    let refused = pfgm(here, &["train", "shop.csv", "--kind", "visits=word"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`word` is not a kind of column"));
    refuses(
        here,
        &["train", "shop.csv", "--kind", "city=real"],
        &["line 2, column city", "Bern", "--kind city=category"],
    );
    refuses(here, &["train", "two-moons", "--kind", "x=real"], &["--kind", "two-moons"]);
    fs::write(here.join("twice.csv"), "a,a\n1,2\n3,4\n").unwrap();
    refuses(here, &["data", "twice.csv"], &["line 1", "columns 1 and 2", "`a`"]);
    // A file without kinds reads plain numbers, as before.
    fs::write(here.join("plain.csv"), "a,b\n1,2\n3,4\n5,x\n").unwrap();
    fs::write(here.join("plain.toml"), "[data]\nsource = \"plain.csv\"\n[network]\nkind = \"mlp\"\n").unwrap();
    refuses(here, &["train", "plain.toml", "--out", "plain"], &["line 4", "column b", "`x`"]);
}

#[test]
fn classes_keep_their_column() {
    let dir = temporary();
    let here = dir.path();
    trained(here, &["--label", "city"]);
    succeeds(here, &["sample", "run", "-n", "20", "--steps", "4", "--csv", "s.csv", "--class", "Rome"]);
    let drawn = cells(&here.join("s.csv"));
    assert_eq!(drawn[0].join(";"), "price;visits;city;member;since;currency");
    assert!(drawn[1..].iter().all(|row| row[2] == "Rome"));
    let said = succeeds(
        here,
        &["sample", "run", "-n", "9", "--steps", "4", "--csv", "w.csv", "--where", "city=Oslo,visits=0..9"],
    );
    assert!(said.contains("for 9 that fulfill"), "{said}");
    for row in &cells(&here.join("w.csv"))[1..] {
        assert!(row[2] == "Oslo" && row[1].parse::<u32>().unwrap() <= 9, "{row:?}");
    }
}

#[test]
fn holes_are_filled_and_the_rest_is_kept() {
    let dir = temporary();
    let here = dir.path();
    trained(here, &[]);
    let rows = shop(40).replace("Bern;no", ";no");
    fs::write(here.join("holes.csv"), &rows).unwrap();
    let arguments = ["impute", "run", "--data", "holes.csv", "--draws", "3", "--steps", "6", "--rounds", "2"];
    let more = ["-o", "full.csv", "--multiple", "draws", "--json", "pooled.json"];
    let said = succeeds(here, &[&arguments[..], &more].concat());
    assert!(said.contains("cells of") && said.contains("mean       visits:"), "{said}");
    let (given, full) = (cells(&here.join("holes.csv")), cells(&here.join("full.csv")));
    let drawn: Vec<_> = (1..=3).map(|draw| cells(&here.join(format!("draws/draw-0{draw}.csv")))).collect();
    let mut holes = 0;
    for (row, line) in given.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            if cell.is_empty() {
                holes += 1;
                assert!(!full[row][column].is_empty(), "row {row}, column {column}");
                let draws: Vec<&String> = drawn.iter().map(|table| &table[row][column]).collect();
                if column == 2 {
                    let most = draws.iter().max_by_key(|a| draws.iter().filter(|b| a == b).count()).unwrap();
                    let count = |text: &String| draws.iter().filter(|draw| **draw == text).count();
                    assert_eq!(count(&full[row][column]), count(most), "the most frequent of {draws:?}");
                } else {
                    let mean = draws.iter().map(|draw| draw.parse::<f64>().unwrap()).sum::<f64>() / 3.0;
                    assert!((full[row][column].parse::<f64>().unwrap() - mean).abs() <= 0.5, "{draws:?}");
                }
            } else {
                assert!(
                    drawn.iter().chain([&full]).all(|table| &table[row][column] == cell),
                    "row {row}, column {column}"
                );
            }
        }
    }
    assert!(holes > 10, "{holes}");
    fs::write(here.join("whole.csv"), fs::read_to_string(here.join("full.csv")).unwrap()).unwrap();
    refuses(here, &["impute", "run", "--data", "whole.csv"], &["whole.csv", "no cell is missing"]);
    refuses(here, &["impute", "run", "--data", "holes.csv", "--draws", "0"], &["--draws"]);
}

#[test]
fn conditions_are_met_or_refused() {
    let dir = temporary();
    let here = dir.path();
    trained(here, &[]);
    let conditions = "price=2..9,member=yes,since=01.01.2012..";
    succeeds(
        here,
        &["sample", "run", "-n", "12", "--steps", "6", "--csv", "w.csv", "--where", conditions, "--tries", "2000"],
    );
    let drawn = cells(&here.join("w.csv"));
    assert_eq!(drawn.len(), 13);
    for row in &drawn[1..] {
        let price: f64 = row[0].replace(',', ".").parse().unwrap();
        assert!(
            (2.0..=9.0).contains(&price) && row[3] == "yes" && row[4][6..].parse::<u32>().unwrap() >= 2012,
            "{row:?}"
        );
    }
    for (conditions, parts) in [
        ("price", &["--where price", "NAME=VALUE"][..]),
        ("cost=1", &["no column `cost`", "price, visits"]),
        ("city=Paris", &["`Paris` is not a value of this column of kind category"]),
        ("city=Bern..Oslo", &["no order"]),
        ("price=9..2", &["lower value first"]),
        ("price=1000000..", &["0 of", "--tries"]),
    ] {
        refuses(here, &["sample", "run", "-n", "4", "--steps", "2", "--where", conditions, "--tries", "64"], parts);
    }
    let said = fails(here, &["sample", "digits", "--where", "a=1"]);
    assert!(said.contains("--where: the run was not trained on a table"), "{said}");
}

#[test]
fn tables_are_scored_column_by_column() {
    let dir = temporary();
    let here = dir.path();
    trained(here, &[]);
    let said = succeeds(here, &["evaluate", "run", "--steps", "6", "-n", "100", "--json", "e.json"]);
    for part in ["columns  ", "pairs  ", "classifier  ", "closest  ", "city: TV", "price: KS"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(here.join("e.json")).unwrap()).unwrap();
    assert_eq!(json["table"]["columns"].as_array().map(Vec::len), Some(5), "the constant is not scored");
    assert!(json["table"]["classifier_area"]["value"].as_f64().is_some_and(|area| (0.0..=1.0).contains(&area)));
    // Guidance is that of the table's scores, too.
    succeeds(here, &["train", "shop.csv", "--out", "weak", "--set", "train.steps=2", "--set", "network.width=32"]);
    let guided = ["--autoguide", "weak", "--guidance", "3", "--json", "g.json"];
    succeeds(here, &[&["evaluate", "run", "--steps", "6", "-n", "100"][..], &guided].concat());
    let of_guided: serde_json::Value = serde_json::from_str(&fs::read_to_string(here.join("g.json")).unwrap()).unwrap();
    assert_ne!(of_guided["table"], json["table"]);
    // Two files: the kinds are those of the reference.
    fs::write(here.join("other.csv"), shop(90)).unwrap();
    let said = succeeds(here, &["evaluate", "other.csv", "--data", "shop.csv"]);
    assert!(said.contains("100.0 % copies") || said.contains("% copies"), "{said}");
}

#[test]
fn pictures_of_a_table_have_its_values_and_names() {
    let dir = temporary();
    let here = dir.path();
    let grade = |row: u32| ["poor", "fair", "good"][(row % 7 % 3) as usize];
    let row = |row: u32| {
        format!("{},{},{},2024-03-{:02}\n", grade(row), row % 5, (f64::from(row) / 50.0).exp(), 1 + row % 28)
    };
    let hole = |row: u32| if row.is_multiple_of(10) { String::from("good,,1.5,2024-03-01\n") } else { String::new() };
    let rows: String = (0..100).map(|at| row(at) + &hole(at)).collect();
    fs::write(here.join("t.csv"), format!("grade,visits,price,day\n{rows}")).unwrap();
    let kinds = ["--kind", "grade=ordinal:poor,fair,good"];
    let texts = |language: &str| -> Vec<String> {
        succeeds(here, &[&["data", "t.csv", "-o", "t.svg", "--lang", language], &kinds[..]].concat());
        let svg = fs::read_to_string(here.join("t.svg")).unwrap();
        let text = |part: &str| part.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned();
        svg.split("<text ").skip(1).map(text).collect()
    };
    let found = texts("en");
    for text in ["poor", "fair", "good", "grade", "price", "day", "visits, 9 % missing"] {
        assert_eq!(found.iter().filter(|other| *other == text).count(), 1, "{text}: {found:?}");
    }
    assert!(found.iter().any(|text| text.starts_with("2024-03-")), "{found:?}");
    assert!(texts("zh").contains(&"visits，9 % 缺失".to_owned()));
}
