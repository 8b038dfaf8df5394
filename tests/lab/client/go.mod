module lab.example/client

go 1.17
