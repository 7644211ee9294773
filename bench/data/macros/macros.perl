%perl_version           %(eval "`%{__perl} -V:version`"; echo $version)
%perl_vendorlib         %(eval "`%{__perl} -V:installvendorlib`"; echo $installvendorlib)
%perl_vendorarch        %(eval "`%{__perl} -V:installvendorarch`"; echo $installvendorarch)
%perl_bootstrap         0
%__perl                 /usr/bin/perl
%_fixperms              %{__chmod} -Rf a+rX,u+w,g-w,o-w
