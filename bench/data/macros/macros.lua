%lua_version            5.4
%lua_libdir             %{_libdir}/lua/%{lua_version}
%lua_pkgdir             %{_datadir}/lua/%{lua_version}
%lua_requires           lua(abi) = %{lua_version}
