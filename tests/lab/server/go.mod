module lab/server

go 1.25
