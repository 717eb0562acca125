using System.Collections.Frozen;
using System.Reflection;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Routing;
using MultiCluster.Engine.Grpc.Server;

namespace MultiCluster.Engine.Grpc.Reflection;

/// <summary>The descriptors of all mapped services, by file and by symbol. Immutable; built when it is first asked for.</summary>
internal sealed class DescriptorIndex
{
    private readonly FrozenDictionary<string, FileDescriptor> _files;
    private readonly FrozenDictionary<string, FileDescriptor> _symbols;

    public DescriptorIndex(EndpointDataSource endpoints)
    {
        ServiceDescriptor[] services = [.. endpoints.Endpoints
            .Select(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()?.ServiceType)
            .OfType<Type>()
            .Distinct()
            .Select(DescriptorOf)
            .OfType<ServiceDescriptor>()];
        ServiceNames = [.. services.Select(service => service.FullName).Order(StringComparer.Ordinal)];

        var files = new Dictionary<string, FileDescriptor>(StringComparer.Ordinal);
        var symbols = new Dictionary<string, FileDescriptor>(StringComparer.Ordinal);
        foreach (ServiceDescriptor service in services)
        {
            AddFile(service.File);
        }

        _files = files.ToFrozenDictionary(StringComparer.Ordinal);
        _symbols = symbols.ToFrozenDictionary(StringComparer.Ordinal);

        void AddFile(FileDescriptor file)
        {
            if (!files.TryAdd(file.Name, file))
            {
                return;
            }

            foreach (FileDescriptor dependency in file.Dependencies)
            {
                AddFile(dependency);
            }

            foreach (ServiceDescriptor service in file.Services)
            {
                symbols[service.FullName] = file;
                foreach (MethodDescriptor method in service.Methods)
                {
                    symbols[method.FullName] = file;
                }
            }

            foreach (EnumDescriptor type in file.EnumTypes)
            {
                AddEnum(type);
            }

            foreach (MessageDescriptor type in file.MessageTypes)
            {
                AddMessage(type);
            }
        }

        void AddMessage(MessageDescriptor type)
        {
            symbols[type.FullName] = type.File;
            foreach (FieldDescriptor field in type.Fields.InDeclarationOrder())
            {
                symbols[field.FullName] = type.File;
            }

            foreach (EnumDescriptor inner in type.EnumTypes)
            {
                AddEnum(inner);
            }

            foreach (MessageDescriptor inner in type.NestedTypes)
            {
                AddMessage(inner);
            }
        }

        void AddEnum(EnumDescriptor type)
        {
            symbols[type.FullName] = type.File;
            foreach (EnumValueDescriptor value in type.Values)
            {
                symbols[value.FullName] = type.File;
            }
        }
    }

    /// <summary>Full names, sorted.</summary>
    public IReadOnlyList<string> ServiceNames { get; }

    /// <summary>The file of this name with everything it imports, the file first; null when it is unknown.</summary>
    public IReadOnlyList<ByteString>? FilesByName(string name) => _files.TryGetValue(name, out FileDescriptor? file) ? WithImports(file) : null;

    /// <summary>The file that declares this service, method, message, field, enum or value, with its imports; null when nothing does.</summary>
    public IReadOnlyList<ByteString>? FilesBySymbol(string symbol) => _symbols.TryGetValue(symbol, out FileDescriptor? file) ? WithImports(file) : null;

    private static List<ByteString> WithImports(FileDescriptor root)
    {
        var files = new List<FileDescriptor> { root };
        for (int i = 0; i < files.Count; i++)
        {
            files.AddRange(files[i].Dependencies.Where(dependency => !files.Contains(dependency)).ToList());
        }

        return [.. files.Select(file => file.SerializedData)];
    }

    private static ServiceDescriptor? DescriptorOf(Type serviceType) => GeneratedService.BindingOf(serviceType)?.BindType
        .GetProperty("Descriptor", BindingFlags.Public | BindingFlags.Static)?.GetValue(null) as ServiceDescriptor;
}
