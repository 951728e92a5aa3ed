//! Tables in text: RFC 4180, with commas, semicolons or tabs, with or without a byte order mark.

use super::fault::Fault;

/// Most bytes of a cell.
const CELL: usize = 64 << 10;

/// A row, and the line on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) cells: Vec<String>,
}

/// The rows of a table, its headings first; blank lines are left out.
pub(super) fn rows(name: &str, text: &str) -> Result<Vec<Row>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let separator = separator(text);
    let mut reader = Reader {
        name,
        separator,
        line: 1,
        row: Row {
            line: 1,
            cells: Vec::new(),
        },
        cell: String::new(),
        rows: Vec::new(),
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if reader.cell.is_empty() => reader.quoted(&mut chars)?,
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => reader.end_row(),
            c if c == separator => reader.end_cell(),
            c => reader.put(c)?,
        }
    }
    reader.end_row();
    Ok(reader.rows)
}

/// What stands between the headings.
fn separator(text: &str) -> char {
    let head = text.lines().find(|line| !line.trim().is_empty());
    let head = head.unwrap_or_default();
    let count = |separator: char| head.matches(separator).count();
    let all = [',', '\t', ';'];
    // The first of those that occur most often.
    let most = all.into_iter().map(count).max().unwrap_or(0);
    all.into_iter()
        .find(|separator| count(*separator) == most)
        .unwrap_or(',')
}

struct Reader<'a> {
    name: &'a str,
    separator: char,
    line: usize,
    row: Row,
    cell: String,
    rows: Vec<Row>,
}

impl Reader<'_> {
    /// The rest of a cell that began with a quotation mark.
    fn quoted(
        &mut self,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    ) -> Result<(), Fault> {
        let began = self.line;
        while let Some(c) = chars.next() {
            match c {
                '"' if chars.peek() == Some(&'"') => {
                    chars.next();
                    self.put('"')?;
                }
                '"' => {
                    let next = chars.peek().copied();
                    let ends = next.is_none_or(|c| c == self.separator || matches!(c, '\n' | '\r'));
                    return if ends {
                        Ok(())
                    } else {
                        Err(self.fault("a quotation mark inside a cell is written twice"))
                    };
                }
                c => {
                    if c == '\n' {
                        self.line += 1;
                    }
                    self.put(c)?;
                }
            }
        }
        self.line = began;
        Err(self.fault("a quoted cell does not end"))
    }

    fn put(&mut self, c: char) -> Result<(), Fault> {
        if self.cell.len() >= CELL {
            return Err(self.fault("a cell is longer than 64 KiB"));
        }
        self.cell.push(c);
        Ok(())
    }

    fn end_cell(&mut self) {
        self.row.cells.push(std::mem::take(&mut self.cell));
    }

    fn end_row(&mut self) {
        self.end_cell();
        self.line += 1;
        let next = Row {
            line: self.line,
            cells: Vec::new(),
        };
        let row = std::mem::replace(&mut self.row, next);
        if row.cells.iter().any(|cell| !cell.trim().is_empty()) {
            self.rows.push(row);
        }
    }

    fn fault(&self, what: &str) -> Fault {
        Fault {
            line: Some(self.line),
            ..Fault::of(self.name, what)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        let rows = rows("x.csv", text).unwrap();
        rows.into_iter().map(|row| (row.line, row.cells)).collect()
    }

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn tables_are_read_whatever_separates_them() {
        for text in [
            "a,b\n1,2\n",
            "\u{feff}a,b\r\n1,2",
            "a;b\n1;2\n\n",
            "a\tb\r1\t2\r",
        ] {
            let rows = read(text);
            assert_eq!(rows[0].1, cells(&["a", "b"]), "{text:?}");
            assert_eq!(rows[1], (2, cells(&["1", "2"])), "{text:?}");
            assert_eq!(rows.len(), 2, "{text:?}");
        }
    }

    #[test]
    fn quoted_cells_may_hold_anything() {
        let rows = read("a,b\n\"x, \"\"y\"\"\nz\",2\n3,\n");
        assert_eq!(rows[1], (2, cells(&["x, \"y\"\nz", "2"])));
        assert_eq!(rows[2], (4, cells(&["3", ""])));
    }

    #[test]
    fn what_is_no_table_says_on_which_line() {
        for (text, line) in [("a,b\n\"1,2\n", 2), ("a,b\n\n\"1\"2,3\n", 3)] {
            assert_eq!(
                rows("x.csv", text).unwrap_err().line,
                Some(line),
                "{text:?}"
            );
        }
        let long = format!("a\n{}\n", "x".repeat(CELL + 1));
        assert_eq!(rows("x.csv", &long).unwrap_err().line, Some(2));
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(rows in proptest::collection::vec(
            proptest::collection::vec("[a-z,;\"\n\t ]{0,6}", 2..4), 0..5)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
            let text = format!("h,h,h,h,h,h,h,h,h\n{text}");
            let expected: Vec<_> = rows.into_iter()
                .filter(|row| row.iter().any(|cell| !cell.trim().is_empty())).collect();
            let found: Vec<_> = read(&text).into_iter().skip(1).map(|(_, cells)| cells).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[a,;\"\r\n\t]{0,40}") {
            rows("x.csv", &text).ok();
        }
    }
}
