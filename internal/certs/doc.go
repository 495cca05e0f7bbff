// Package certs is everything around TLS that is not the protocol: certificates, the authorities of
// clients, keys of session tickets, and ACME.
//
// There are only a few types. A [Source] reads files, watches them, rotates ticket keys and runs
// ACME; one process of a node has it. What it finds is a [Material], which can be sent to other
// processes. A [Store] takes a material and makes the configuration of the next handshake of it;
// each process that shakes hands has one.
//
//	files, ACME ──► Source ──► Material ──┬──► Store of this process ──► *tls.Config
//	                                      └──► Store of each worker  ──► *tls.Config
//
// The rule for everything that is read again: what cannot be used is logged, and what was there
// stays.
package certs
