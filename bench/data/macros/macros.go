%gopath                 %{_datadir}/gocode
%go_arches              x86_64 aarch64
%gobuildflags           -buildmode pie -compiler gc -ldflags "${LDFLAGS:-} -B 0x$(head -c20 /dev/urandom|od -An -tx1|tr -d ' \\n')"
%gobuild                go build -mod=vendor -trimpath %{gobuildflags} -a -v -x
