//! Kinds of columns: found by rule, encoded, decoded, written back.

use std::{fmt::Write as _, fs, sync::Arc};

use pfgm_data::{
    ColumnKind, DataError, Dataset, Kinds, NumberFormat, OpenOptions, TableColumn, TableSchema, Transform, open,
    open_table,
};
use proptest::prelude::*;

/// Writes a table and opens it with kinds.
fn table(text: &str, kinds: &[(&str, &str)]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, text).unwrap();
    let kinds: Kinds = kinds.iter().map(|(name, kind)| ((*name).to_owned(), kind.parse().unwrap())).collect();
    open(path.to_str().unwrap(), &OpenOptions { kinds: Some(kinds), ..OpenOptions::default() })
}

fn error(text: &str, kinds: &[(&str, &str)]) -> String {
    let text = table(text, kinds).unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

fn schema(set: &Dataset) -> Arc<TableSchema> {
    set.table.clone().unwrap()
}

fn kinds(set: &Dataset) -> Vec<&'static str> {
    schema(set).columns.iter().map(|column| column.kind.as_str()).collect()
}

/// A table of every kind, as a European spreadsheet writes one, with values missing.
fn every_kind() -> String {
    let mut text = String::from("id;temp;price;rate;age;visits;sex;grade;city;born;unit;note\n");
    for row in 0_u32..60 {
        let skewed = f64::from(row % 20).exp2() / 100.0;
        let age = if row % 7 == 3 { String::new() } else { (20 + row * 13 % 50).to_string() };
        let city = ["Bern", "Köln; Süd", "Oslo"][row as usize % 3];
        let grade = 1 + row % 5;
        let rate = format!("{:.3}", f64::from(row) / 59.0).replace('.', ",");
        let price = format!("{skewed:.2}").replace('.', ",");
        let temp = format!("{:.1}", f64::from(row) - 30.5).replace('.', ",");
        let visits = [0, 0, 1, 2, 55][row as usize % 5] + row % 3 + 20 * (row % 11);
        let city = if row % 10 == 0 {
            "NA".to_owned()
        } else if city.contains(';') {
            format!("\"{city}\"")
        } else {
            city.to_owned()
        };
        let _ = writeln!(
            text,
            "{};{temp};{price};{rate};{age};{visits};{};{grade};{city};{:02}.{:02}.19{};kg;text {row} of many",
            1000 - 3 * row as i32 * 17,
            ["m", "f"][row as usize % 2],
            1 + row % 28,
            1 + row % 12,
            50 + row % 40,
        );
    }
    text
}

#[test]
fn kinds_follow_the_rule() {
    let set = table(&every_kind(), &[("note", "category")]).unwrap();
    assert_eq!(
        kinds(&set),
        [
            "integer", "real", "positive", "bounded", "count", "count", "category", "ordinal", "category", "date",
            "constant", "category"
        ]
    );
    let schema = schema(&set);
    assert!(matches!(schema.columns[2].kind, ColumnKind::Positive { shift: Some(_), .. }), "skewed");
    assert_eq!(schema.columns[4].missing.as_ref().map(|missing| missing.word.as_str()), Some(""));
    assert_eq!(schema.columns[8].missing.as_ref().map(|missing| missing.share), Some(0.1));
    assert_eq!(set.columns.len(), set.shape.dim());
    assert!(set.columns.contains(&"city=Oslo".to_owned()) && set.columns.contains(&"age is missing".to_owned()));
    // Sixty different texts are no category by rule.
    let set = table(&every_kind(), &[]).unwrap();
    assert_eq!(kinds(&set).len(), 11);
    assert!(
        set.notices.iter().any(|notice| notice.to_string().contains("column note is not used: 60 different texts"))
    );
}

#[test]
fn kinds_can_be_set() {
    let text = every_kind();
    let set = table(
        &text,
        &[("age", "integer"), ("grade", "category"), ("visits", "real"), ("city", "drop"), ("note", "drop")],
    )
    .unwrap();
    assert_eq!(
        kinds(&set),
        ["integer", "real", "positive", "bounded", "integer", "real", "category", "category", "date", "constant"]
    );
    let set = table("a,b\nlow,1\nhigh,2\nmiddle,3\n", &[("a", "ordinal:low,middle,high")]).unwrap();
    let ColumnKind::Ordinal { levels } = &schema(&set).columns[0].kind else { panic!() };
    assert_eq!(levels, &["low", "middle", "high"]);
    for (kinds, expected) in [
        (("age", "bounded:0,30"), "outside of its bounds; correct the table; set kind to age=real"),
        (("temp", "positive"), "line 2, column temp: `-30,5` is negative"),
        (("temp", "integer"), "line 2, column temp: `-30,5` is not a whole number"),
        (("city", "real"), "line 3, column city: `Köln; Süd` is not a number, which the kind real needs"),
        (("born", "date:mm/dd/yyyy"), "column born: `01.01.1950` is not a date as mm/dd/yyyy"),
        (("sex", "ordinal:m,x"), "column sex: `f` is none of m, x"),
        (("sx", "real"), "no column `sx`"),
    ] {
        let said = error(&text, &[kinds]);
        assert!(said.contains(expected), "{said}");
    }
    assert!(
        "bounded:2,1".parse::<pfgm_data::KindChoice>().is_err() && "number".parse::<pfgm_data::KindChoice>().is_err()
    );
}

/// The cells of rows that went through the model's space in single precision.
fn through_the_model(set: &Dataset, with_missing: bool) -> Vec<Vec<String>> {
    let (transform, schema) = (Transform::fit(set).unwrap(), schema(set));
    let mut row = vec![0.0; set.shape.dim()];
    let decoded = |index| {
        set.read_transformed(index, &transform, &mut row).unwrap();
        schema.decode(&transform.inverse_wide(&row), None, with_missing)
    };
    (0..set.len()).map(decoded).collect()
}

#[test]
fn tables_come_back_to_the_letter() {
    let text = every_kind();
    let set = table(&text, &[("note", "category")]).unwrap();
    assert_eq!(schema(&set).write(true, through_the_model(&set, true)), text);
    let without = through_the_model(&set, false);
    assert!(without.iter().flatten().all(|cell| !cell.is_empty() && cell != "NA"));
    // Integers are dequantized: no two encoded rows of one value agree.
    let place = set.columns.iter().position(|name| name == "id").unwrap();
    let mut row = vec![0.0; set.shape.dim()];
    set.read_wide(0, &mut row).unwrap();
    assert!((row[place] - 1000.0).abs() <= 0.5 && row[place] != 1000.0, "{}", row[place]);
}

#[test]
fn rare_categories_and_masks_stay_near() {
    let rows: String = (0..500).map(|row| format!("{},{}\n", row, if row == 7 { "rare" } else { "usual" })).collect();
    let set = table(&format!("a,b\n{rows}"), &[]).unwrap();
    let transform = Transform::fit(&set).unwrap();
    assert_eq!(transform.scale[1], 0.5);
}

#[test]
fn the_label_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let rows: String =
        (0..30).map(|row| format!("{row},{},{}\n", ["red", "white"][row % 2], row as f64 / 4.0)).collect();
    fs::write(&path, format!("a,kind,b\n{rows}")).unwrap();
    let options = OpenOptions { kinds: Some(Kinds::new()), label: Some("kind".into()), ..OpenOptions::default() };
    let set = open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(set.labels.as_ref().unwrap().names, ["red", "white"]);
    assert_eq!((set.shape.dim(), schema(&set).column_names(true)), (2, vec!["a", "kind", "b"]));
    assert_eq!(schema(&set).decode(&[3.2, 0.5], Some("red"), true), ["3", "red", "0.5"]);
    assert_eq!(schema(&set).decode(&[3.2, 0.5], None, true).len(), 2);
}

#[test]
fn other_rows_are_read_by_the_encodings_of_a_run() {
    let set = table(&every_kind(), &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more.csv");
    let options = OpenOptions { schema: set.table.clone(), ..OpenOptions::default() };
    let open_text = |text: &str| {
        fs::write(&path, text).unwrap();
        open(path.to_str().unwrap(), &options).map(|set| set.shape.dim())
    };
    let lines: Vec<String> = every_kind().lines().map(str::to_owned).collect();
    // One row alone would have other kinds.
    assert_eq!(open_text(&lines[..2].join("\n")).unwrap(), set.shape.dim());
    let wrong = open_text(&format!("{}\n{}", lines[0], lines[2].replace(";f;", ";x;"))).unwrap_err().to_string();
    assert!(wrong.contains("line 2, column sex: `x` is not one of f, m"), "{wrong}");
    let hole = format!("{}\n{}", lines[0], lines[2].replace(";f;", ";;"));
    assert!(open_text(&hole).unwrap_err().to_string().contains("line 2, column sex: `` is no value"));
    fs::write(&path, &hole).unwrap();
    let rows = open_table(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(rows.known.iter().filter(|known| !**known).count(), 1);
    assert_eq!((rows.holes[0].iter().filter(|hole| **hole).count(), rows.cells[0][4].as_str()), (1, "33"));
}

#[test]
fn schemas_are_stored_and_checked() {
    let set = table(&every_kind(), &[]).unwrap();
    let mut stored: TableSchema = serde_json::from_str(&serde_json::to_string(&*schema(&set)).unwrap()).unwrap();
    assert_eq!((&stored, stored.problem()), (&*schema(&set), None));
    stored.columns[6].kind = ColumnKind::Category { levels: Vec::new() };
    assert_eq!(stored.problem().as_deref(), Some("column sex has no levels"));
}

#[test]
fn bad_tables_are_one_line_or_a_decision() {
    let rows = |row: &dyn Fn(u32) -> String, count: u32| (0..count).map(row).collect::<String>();
    assert!(error("a,b,a\n1,2,3\n", &[]).contains("line 1: columns 1 and 3 are both called `a`"));
    assert!(error("a,b\n", &[]).contains("no line below it"));
    assert!(error(&rows(&|_| "1,x\n".into(), 9), &[]).contains("9 rows are equal"));
    assert!(error("a\n7\n", &[]).contains("at least 2 rows"));
    let said = error("a,b\n,\n,\n", &[]);
    assert!(said.contains("no column can be used") && said.contains("a (no row has a value)"), "{said}");
    let mixed = rows(&|row| if row == 30 { "oops,1\n".into() } else { format!("{row}.5,{row}\n") }, 60);
    let said = error(&format!("a,b\n{mixed}"), &[]);
    assert!(said.contains("line 32, column a: `oops` is a text where 59 other rows have numbers"), "{said}");
    assert!(said.contains("set kind to a=category"), "{said}");
    let said = error("when,x\n01/02/2020,1\n03/04/2021,2\n", &[]);
    assert!(said.contains("column when: `01/02/2020` may begin with the day or the month"), "{said}");
    assert!(
        error(&format!("a,b\n{}", rows(&|row| format!("inf,{row}\n"), 9)), &[])
            .contains("line 2, column a: `inf` is not a finite number")
    );

    // Ten thousand texts: not used, and said; as a category only if asked for, and then too many.
    let many = format!("a,b\n{}", rows(&|row| format!("user {row},{}\n", row % 100), 10_000));
    let set = table(&many, &[]).unwrap();
    assert!(
        set.notices.iter().any(|notice| notice.to_string().contains("column a is not used: 10000 different texts"))
    );
    assert!(error(&many, &[("a", "category")]).contains("10000 different texts, and a category has at most 1000"));
    // Codes of few numbers and texts are a category; empty columns and constants are named.
    let codes = table(
        &format!("a,b,c,d\n{}", rows(&|row| format!("{},{row},,7\n", ["1", "2", "A"][row as usize % 3]), 30)),
        &[],
    )
    .unwrap();
    assert_eq!(kinds(&codes), ["category", "count", "constant"]);
    assert!(codes.notices.iter().any(|notice| notice.to_string().contains("column c is not used: no row has a value")));
}

proptest! {
    #[test]
    fn whatever_a_model_gives_is_possible(numbers in proptest::collection::vec(-30.0_f64..30.0, 16), scale in 0.1_f64..1e4) {
        let set = table(&every_kind(), &[]).unwrap();
        let schema = schema(&set);
        let row: Vec<f64> = numbers.iter().cycle().take(set.shape.dim()).map(|value| value * scale).collect();
        let text = schema.write(true, [schema.decode(&row, None, true)]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drawn.csv");
        fs::write(&path, &text).unwrap();
        let options = OpenOptions { schema: Some(Arc::clone(&schema)), ..OpenOptions::default() };
        prop_assert!(open(path.to_str().unwrap(), &options).is_ok(), "{text}");
    }
}

#[test]
fn means_are_of_numbers_and_not_of_places() {
    let column = |kind| TableColumn { name: "a".into(), kind, number: NumberFormat::default(), missing: None };
    let levels = |texts: [&str; 2]| texts.map(String::from).to_vec();
    let grade = column(ColumnKind::Ordinal { levels: levels(["100", "103"]) });
    assert_eq!(grade.number_of(grade.decode_value(&[0.9])), Some(103.0));
    assert_eq!(column(ColumnKind::Ordinal { levels: levels(["low", "high"]) }).number_of(1.0), None);
    assert_eq!(column(ColumnKind::Category { levels: levels(["0", "1"]) }).number_of(1.0), None);
    assert_eq!(column(ColumnKind::Integer).number_of(7.0), Some(7.0));
}
